"""The pictures of the pages: `python -m docs.make`, from the root of the repository, with src/ on the path."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from piti.data.degradation import degrade
from piti.data.grid import grid
from piti.datasets import colours
from piti.scenes import CLASSES, render

HERE = Path(__file__).parent
HEADING = 16  # px above a sheet for the names of its columns


def scenes(count: int = 10, resolution: int = 96) -> np.ndarray:
    """Synthetic scenes, one a row, twice beside each other: image, labels, depth (near is light), normals."""
    drawn = render(7, np.arange(count), resolution)
    labels = colours.colour_map(256)[np.array([c.ade20k for c in CLASSES])][drawn.classes]
    depth = 255 / (1 + drawn.depth / 20)
    depth = np.repeat(np.where(drawn.valid, depth, 0).astype(np.uint8)[..., None], 3, axis=-1)
    normals = np.where(drawn.valid[..., None], (drawn.normal + 1) * 127.5, 0).astype(np.uint8)
    rows = np.stack([drawn.image, labels, depth, normals], axis=1)  # count x 4 x resolution x resolution x 3
    return headed(
        grid(rows.reshape(-1, resolution, resolution, 3), columns=8), ["photograph", "labels", "depth", "normals"] * 2
    )


def degradation(count: int = 5, resolution: int = 128, draws: int = 5) -> np.ndarray:
    """Synthetic scenes, then the small input of the upsampler in several draws, enlarged without smoothing."""
    rows = []
    for index, image in enumerate(render(8, np.arange(count), resolution).image):
        small = [degrade(image, 4, np.random.default_rng([index, draw])) for draw in range(draws)]
        rows += [image, *(np.kron(low, np.ones((4, 4, 1), np.uint8)) for low in small)]
    return headed(grid(np.stack(rows), columns=1 + draws), ["photograph", *[f"draw {i + 1}" for i in range(draws)]])


def headed(sheet: np.ndarray, names: list[str]) -> np.ndarray:
    """The sheet with the names of its columns above it."""
    picture = Image.new("RGB", (sheet.shape[1], HEADING), "white")
    for i, name in enumerate(names):
        ImageDraw.Draw(picture).text((i * sheet.shape[1] / len(names) + 2, 2), name, "black")
    return np.concatenate([np.asarray(picture), sheet])


if __name__ == "__main__":
    for make in (scenes, degradation):
        Image.fromarray(make()).save(HERE / f"{make.__name__}.png", optimize=True)
