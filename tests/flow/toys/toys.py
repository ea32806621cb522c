"""Somebody else's plug-in: a condition, a baseline and a measure, declared here; the baseline's networks beside it."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from piti.cards.baselines import BASELINES, BaselineConfig
from piti.conditions import CONDITIONS, Condition
from piti.evaluate.measures import MEASURES, Measure


class Brightness(Condition):
    """How bright a photograph is, uint8 S x S."""

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


@dataclass(frozen=True)
class ToyConfig(BaselineConfig):
    """Two convolutions."""

    name: ClassVar = "toy"
    network: ClassVar = "toy_networks:Toy"

    width: int = 3


def levels(pictures: np.ndarray, stored: np.ndarray) -> np.ndarray:
    """How far each picture's brightness is from the condition, in grey levels on average."""
    return np.abs(pictures @ [0.299, 0.587, 0.114] - stored).mean(axis=(1, 2))


CONDITIONS.add(Brightness())
BASELINES.add(ToyConfig)
MEASURES.add(Measure("levels", "brightness", "levels ↓", False, f"{__name__}:levels", network=""))
