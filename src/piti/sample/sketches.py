"""Sketches from photographs: HED, then a threshold (facts 5)."""

from pathlib import Path

import numpy as np
import torch

from piti.cards import SketchCard
from piti.data import shards
from piti.data.shards import Shards
from piti.networks.hed import HED, edges
from piti.networks.weights import load, read
from piti.progress import progress


def draw_sketches(
    card: SketchCard, output: Path, images: Path, weights: Path, batch_size: int, device: torch.device
) -> None:
    """Write the sketch shards of packed photographs. Continues where it was interrupted."""
    photographs, model = Shards(images, "images"), HED()
    load(model, read(weights), str(weights))
    model.eval().to(device, memory_format=torch.channels_last)
    resolution = card.hed_resolution if card.hed_resolution != card.resolution else None

    def make(ids: list[str]) -> np.ndarray:
        return edges(model, photographs[photographs.rows(ids)], resolution) > card.threshold

    with progress(total=len(photographs), desc="sketches", unit="image") as bar:
        shards.write(
            output.parent,
            card.kind,
            photographs.ids,
            make,
            card.shard_size,
            card.resolution,
            {"threshold": card.threshold},
            batch_size,
            bar.update,
        )
