"""Generated pictures on disk: shards like those of photographs, and a preview."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from piti.data import shards
from piti.data.grid import grid
from piti.data.shards import Shards
from piti.progress import progress
from piti.store.files import atomic


def write_pictures(
    output: Path,
    ids: Sequence[str],
    make: Callable[[list[str]], np.ndarray],
    resolution: int,
    shard_size: int,
    batch_size: int,
) -> None:
    """Write the shards whose index is `output`, shard by shard, and `preview.png` beside them.

    make: ids -> uint8 N x resolution x resolution x 3. An interrupted call continues with the shards that are not
        there yet.
    """
    with progress(total=len(ids), desc="pictures", unit="image") as bar:
        shards.write(
            output.parent, "images", ids, make, shard_size, resolution, batch_size=batch_size, progress=bar.update
        )
    pictures = Shards(output)
    with atomic(output.with_name("preview.png")) as temporary:
        Image.fromarray(grid(pictures[range(min(16, len(pictures)))], 8)).save(temporary, format="png")


def to_range(images: np.ndarray) -> torch.Tensor:
    """uint8 N x S x S x 3 -> float32 N x 3 x S x S in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_levels(pictures: torch.Tensor) -> np.ndarray:
    """[-1, 1] N x 3 x S x S -> uint8 N x S x S x 3, rounded."""
    levels = ((pictures.float().clamp(-1, 1) + 1) * 127.5).round().byte()
    return levels.permute(0, 2, 3, 1).cpu().numpy()
