"""Records found and read as packing does it."""

from pathlib import Path

import numpy as np

from piti.cards import PackCard
from piti.data import packing
from piti.datasets.layouts import Record, survey


def scan(layout: str, root: Path, split: str, **how) -> list[Record]:
    return survey(layout, root, split, **how).records


def read(kind: str, record: Record, resolution: int, layout: str = "folder", **more) -> np.ndarray:
    card = PackCard(dataset="d", layout=layout, split="train", kind=kind, resolution=resolution, **more)
    return packing.read(card, record)
