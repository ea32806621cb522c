"""Captioned scenes straight into shards: what drawing and packing would make, without millions of small files."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from piti.cards import DrawnShardsCard
from piti.data import scenes, shards
from piti.data.resize import shrink
from piti.data.scenes.write import developed, named, seed_of


def draw(card: DrawnShardsCard, output: Path) -> None:
    """Write the shards of `card.kind` for the training split of a drawn data set; `output` is their index.

    Ids and bytes are those that `pack` makes of the layout `folder` with as many pictures and no test split (up to a
    million, whose names sort as they are counted). Started again, it goes on after the last whole shard.
    """
    number = {named("train", index): index for index in range(card.count)}

    def make(ids: list[str]) -> np.ndarray:
        drawn = scenes.render(seed_of(card.seed, "train"), [number[i] for i in ids], card.drawn_side, card.style)
        if card.kind == "caption":
            return drawn.tokens
        images = np.stack([np.asarray(developed(image, card.side)) for image in drawn.image])
        return shrink(images, card.shrunk_side) if card.shrunk_side else images

    side = scenes.LENGTH if card.kind == "caption" else card.shrunk_side or card.side
    with tqdm(total=card.count, desc=f"scenes, {card.kind}", unit="image") as bar:
        shards.write(output.parent, card.kind, list(number), make, card.shard_size, side, progress=bar.update)
