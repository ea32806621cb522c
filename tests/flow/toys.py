"""Somebody else's plug-in: a condition, a baseline and a measure in a module of their own."""

from pathlib import Path

import numpy as np

from piti.conditions import CONDITIONS, Condition
from piti.evaluate.measures import MEASURES, Measure


class Brightness(Condition):
    """The grey version of the photograph, uint8 S x S."""

    name, channels, dataset = "brightness", 1, "levels"

    def shape(self, resolution):
        return (resolution, resolution)

    def read(self, record, card):
        return self.open(record.image, card.resolution)

    def encode(self, stored, void=0):
        return stored[:, None].astype(np.float32) / 127.5 - 1

    def paint(self, stored):
        return [np.repeat(stored[..., None], 3, axis=-1)]

    def open(self, path: Path, resolution, num_classes=255, layout=""):
        from PIL import Image

        return np.asarray(Image.open(path).convert("L").resize((resolution, resolution)))


def levels(pictures: np.ndarray, stored: np.ndarray) -> np.ndarray:
    """Mean error of each picture's brightness, in grey levels."""
    return np.abs(pictures.mean(axis=-1) - stored).mean(axis=(1, 2))


CONDITIONS.add(Brightness())
MEASURES.add(Measure("levels", "brightness", "levels ↓", False, "tests.flow.toys:levels", network=""))
