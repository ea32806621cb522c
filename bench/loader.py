"""Training batches: packed shards against decoding, resizing and encoding every item anew."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bench.measure import Line, compare
from bench.sizes import Sizes
from piti import scenes
from piti.cards import PackCard
from piti.data.loader import Batches
from piti.data.packing import pack
from piti.data.shards import Shards
from piti.datasets import layouts
from piti.datasets.colours import colour_map
from piti.datasets.layouts import Record

CLASSES = 151


def loader(sizes: Sizes, device: torch.device, repeat: int) -> Iterator[Line]:
    """Images/s of one process: base-model targets and mask conditions. No flips, which cost neither way anything."""
    count = sizes.loader_batch * sizes.loader_steps
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenes.write(folder / "scenes", "ade20k", 0, {"train": count}, sizes.scene_resolution)
        records = {record.id: record for record in layouts.survey("ade20k", folder / "scenes", "train").records}
        colour(records)
        images = shards(sizes, folder, "images", count, shrunk_resolution=sizes.base_resolution)
        masks = shards(sizes, folder, "mask", count, num_classes=CLASSES)
        batches = Batches(images, masks, seed=0, batch_size=sizes.loader_batch, flip=False)
        ids = [batches[step]["ids"] for step in range(sizes.loader_steps)]

        def ours() -> np.ndarray:
            return together(
                [(batch["image"], batch["condition"]) for batch in map(batches.__getitem__, range(len(ids)))]
            )

        def straightforward() -> np.ndarray:
            return together([decode([records[i] for i in part], sizes) for part in ids])

        yield compare("loader", ours, straightforward, device, repeat, tolerance=1e-6, aim=5.0, images=count)


def decode(records: list[Record], sizes: Sizes) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch in the release's way: photograph and colour map opened, both resized, the photograph once more."""
    images, conditions = [], []
    for record in records:
        photograph = (
            Image.open(record.image)
            .convert("RGB")
            .resize((sizes.resolution, sizes.resolution), Image.Resampling.BICUBIC)
        )
        mask = (
            Image.open(coloured(record))
            .convert("RGB")
            .resize((sizes.resolution, sizes.resolution), Image.Resampling.NEAREST)
        )
        small = photograph.resize((sizes.base_resolution, sizes.base_resolution), Image.Resampling.BICUBIC)
        images.append(np.asarray(small).astype(np.float32).transpose(2, 0, 1) / 127.5 - 1)
        conditions.append(np.asarray(mask).astype(np.float32).transpose(2, 0, 1) / 127.5 - 1)
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(conditions))


def colour(records: dict[str, Record]) -> None:
    """Write the colour maps that the release prepares beforehand."""
    colours = colour_map(CLASSES)
    for record in records.values():
        Image.fromarray(colours[np.asarray(Image.open(record.parts["labels"]))]).save(coloured(record))


def coloured(record: Record) -> Path:
    return record.parts["labels"].with_suffix(".colour.png")


def shards(sizes: Sizes, folder: Path, kind: str, count: int, **options: int) -> Shards:
    """Pack the drawn data set."""
    card = PackCard(
        dataset="scenes",
        layout="ade20k",
        split="train",
        kind=kind,
        resolution=sizes.resolution,
        expected=count,
        **options,
    )
    pack(card, folder / "scenes", folder / kind / "index.json")
    return Shards(folder / kind / "index.json")


def together(batches: list[tuple[torch.Tensor, torch.Tensor]]) -> np.ndarray:
    """All numbers of all batches; a sample of the conditions, so that comparing costs little."""
    return np.concatenate([part.numpy()[..., ::7, ::7].ravel() for batch in batches for part in batch])
