"""Can a score be believed? Real photographs, distorted more and more, must score worse and worse."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

from piti.cards import MetricCheckCard
from piti.data.shards import Shards
from piti.diffusion.noise import key_seed
from piti.evaluate import extractors, frechet
from piti.files import write_text
from piti.tabular import About, write


def noise(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """White Gaussian noise; strength: its standard deviation as a share of the half range."""
    return image + 127.5 * strength * rng.standard_normal(image.shape, np.float32)


def blur(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian blur; strength: its standard deviation in sixteenths of the side, to look alike at any side."""
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
    card: MetricCheckCard,
    output: Path,
    images: Sequence[Path],
    weights: Sequence[Path],
    batch_size: int,
    device: torch.device,
) -> None:
    """Write `output` (table.csv), table.tex, long.csv and table.md: a line for each extractor and distortion.

    images: shards of the reference, then of other photographs of its kind; as many of those are taken, evenly spread.
    Undistorted they give the floor, real against real. weights: a file for each extractor of the card.
    """
    lines = []
    if not card.reason:
        reference, others = (Shards(path, "images") for path in images)
        rows = np.linspace(0, len(others) - 1, min(len(reference), len(others))).astype(int).tolist()
        for (metric, name), file in zip(card.extractors.items(), weights, strict=True):
            extractor = extractors.load(name, file, device)
            real = extractors.extract(extractor, reference, batch_size)

            def distance(kind: str, strength: float, network=extractor, real=real) -> float:
                distorted = Distorted(others, rows, kind, strength, card.seed)
                return frechet.distance(real, extractors.extract(network, distorted, batch_size))

            floor = distance("", 0.0)
            for kind in DISTORTIONS:
                values = [floor, *(distance(kind, strength) for strength in card.strengths)]
                lines.append(
                    {"metric": metric, "extractor": name, "distortion": kind, "n": len(rows), "values": values}
                )
    _write(card, output, lines)


def rises(heads: Sequence[str], values: Sequence[float]) -> str:
    """Whether each value is above the one before: "yes", "from" the head where that begins, or "no".

    A weak distortion may change no rounded pixel, or less than what the floor owes to chance.
    """
    falls = [place for place, (a, b) in enumerate(pairwise(values), 1) if a >= b]
    if not falls:
        return "yes"
    return f"from {heads[falls[-1]]}" if falls[-1] < len(values) - 1 else "no"


def _write(card: MetricCheckCard, output: Path, lines: list[dict]) -> None:
    """The table for people, the numbers for programs."""
    strengths = (0.0, *card.strengths)
    head = ["Distortion", "floor", *(f"{strength:g}" for strength in card.strengths), "rises"]
    shown, long = [], []
    for line in lines:
        values = line.pop("values")
        name = f"{line['distortion']}, {line['metric']} ({line['extractor']})"
        shown.append([name, *(f"{value:.3g}" for value in values), rises(head[1:-1], values)])
        long += [line | {"strength": s, "value": value} for s, value in zip(strengths, values, strict=True)]
    shown = shown or [[card.reason, *["-"] * (len(head) - 1)]]
    text = [f"# {card.name}: {card.title}", ""]
    text += [f"**{card.note}**", ""] if card.note else []
    text += [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *shown)]
    count = lines[0]["n"] if lines else 0
    text += ["", f"Preset {card.preset}; n = {count}, seed {card.seed}; floor: real photographs against others."]
    write_text(output.with_name("long.csv"), pd.DataFrame(long).assign(preset=card.preset).to_csv(index=False))
    write_text(output.with_name("table.md"), "\n".join(text) + "\n")
    write(output, About(card.name, card.title, card.preset, card.note, str(count)), head, shown)
