"""Sketches: edges of photographs, encoded as maps of the distance to the nearest one."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from piti.conditions.base import Condition
from piti.store.files import InputError

if TYPE_CHECKING:
    from torch import Tensor


class Sketch(Condition):
    """Edges uint8 S x S, 1 = edge."""

    name, channels, dataset, bits, drawn = "sketch", 1, "bits", True, True
    views = ("binary", "distance")

    def shape(self, resolution: int) -> tuple[int, ...]:
        return (resolution, resolution)

    def encode(self, stored: np.ndarray, void: int = 0) -> np.ndarray:
        """Distances cut off at 255. A sketch without edges becomes all ones, the null condition (as in the release)."""
        out = np.stack([distance(each) for each in stored])[:, None]
        np.minimum(out, 255, out=out)
        out /= 255
        out *= 2
        out -= 1
        return out

    def paint(self, stored: np.ndarray) -> list[np.ndarray]:
        return [np.repeat(stored[..., None] * np.uint8(255), 3, axis=-1)]

    def open(self, path: Path, resolution: int, num_classes: int = 255, layout: str = "") -> np.ndarray:
        """White edges on black. A file of one black is a sketch without edges; one that shows anything is not."""
        from piti.datasets import pictures

        grey = np.asarray(pictures.colours(path, pictures.NO_EDGE, upright=True).convert("L"))
        bits = pictures.nearest(grey, resolution) > 127
        if not bits.any() and (grey.any() or not pictures.uniform(path)):
            raise InputError(
                f"{path}: found no edge at {resolution}×{resolution} pixels "
                f"(the file's brightest: {grey.max()} of 255), expected white (255) edges on black"
            )
        if bits.mean() > 0.5:
            raise InputError(f"{path}: found {bits.mean():.0%} white pixels, expected white edges on black")
        return bits.astype(np.uint8)

    def brush(self, palette: dict[str, int]) -> dict[str, tuple[int, int, int]]:
        return {"white": (255, 255, 255)}

    def for_loader(self, stored: np.ndarray, view: str = "") -> np.ndarray:
        """Edges as they are, or PITI's own distance map."""
        return self.encode(stored) if view == "distance" else stored

    def semantics(
        self, loaded: "Tensor", num_classes: int, instances: "Tensor | None" = None, classes: tuple[int, ...] = ()
    ) -> "Tensor":
        from piti.conditions.semantics import binary

        return loaded if loaded.is_floating_point() else binary(loaded)


def distance(bits: np.ndarray) -> np.ndarray:
    """L1 distance, float32 H x W in px, of every pixel to the nearest edge (1) of `bits` H x W; no edge: huge."""
    import cv2

    return cv2.distanceTransform((bits == 0).view(np.uint8), cv2.DIST_L1, 3)
