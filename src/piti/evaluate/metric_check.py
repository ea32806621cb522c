"""Can a score be believed? Real photographs, distorted more and more, must score worse and worse."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from piti.cards import MetricCheckCard
from piti.data.shards import Shards
from piti.evaluate import extract, frechet
from piti.seeds import key_seed


def noise(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """White Gaussian noise; strength: its standard deviation as a share of the half range."""
    return image + 127.5 * strength * rng.standard_normal(image.shape, np.float32)


def blur(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian blur; strength: its standard deviation in sixteenths of the resolution, to look alike at any
    resolution.
    """
    return cv2.GaussianBlur(image, (0, 0), strength / 16 * len(image))


def saturation(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Colours 1 + strength times as far from their grey, the mean of the three."""
    grey = image.mean(axis=-1, keepdims=True)
    return grey + (1 + strength) * (image - grey)


def shift(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Everything brighter; strength: by how much, as a share of the half range."""
    return image + 127.5 * strength


# Each takes S x S x 3 float32 in 0..255, a strength above 0 and a generator; the result is clipped and rounded.
DISTORTIONS: dict[str, Callable[[np.ndarray, float, np.random.Generator], np.ndarray]] = {
    "noise": noise,
    "blur": blur,
    "saturation": saturation,
    "shift": shift,
}


class Distorted:
    """Photographs (a list of rows -> N x S x S x 3 uint8) as they look distorted. Each follows from (seed, row)."""

    def __init__(self, images: Sequence, rows: Sequence[int], kind: str, strength: float, seed: int):
        self.images, self.rows, self.kind, self.strength, self.seed = images, rows, kind, strength, seed

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places: list[int]) -> np.ndarray:
        rows = [self.rows[place] for place in places]
        return np.stack([self._one(image, row) for image, row in zip(self.images[rows], rows, strict=True)])

    def _one(self, image: np.ndarray, row: int) -> np.ndarray:
        if not self.strength:
            return image
        rng = np.random.default_rng(key_seed(self.seed, self.kind, row))
        distorted = DISTORTIONS[self.kind](image.astype(np.float32), self.strength, rng)
        return distorted.round().clip(0, 255).astype(np.uint8)


def check_metric(
    card: MetricCheckCard, images: Sequence[Path], weights: Sequence[Path], batch_size: int, device: torch.device
) -> list[dict]:
    """A line for each extractor and distortion: metric, extractor, distortion, n, and the distance at each strength.

    images: shards of the reference, then of other photographs of its kind; as many of those are taken, evenly spread.
    Undistorted they give the floor, real against real. weights: a file for each extractor of the card.
    """
    lines = []
    if not card.reason:
        reference, others = (Shards(path, "images") for path in images)
        rows = np.linspace(0, len(others) - 1, min(len(reference), len(others))).astype(int).tolist()
        for (metric, name), file in zip(card.extractors.items(), weights, strict=True):
            extractor = extract.load(name, file, device)
            real = extract.extract(extractor, reference, batch_size)

            def distance(kind: str, strength: float, network=extractor, real=real) -> float:
                distorted = Distorted(others, rows, kind, strength, card.seed)
                return frechet.distance(real, extract.extract(network, distorted, batch_size))

            floor = distance("", 0.0)
            for kind in DISTORTIONS:
                values = [floor, *(distance(kind, strength) for strength in card.strengths)]
                lines.append(
                    {"metric": metric, "extractor": name, "distortion": kind, "n": len(rows), "values": values}
                )
    return lines
