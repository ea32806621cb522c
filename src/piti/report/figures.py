"""Figures: for each task some test images, each a line of condition, photograph and what the methods made of it."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt

from piti.cards import FigureCard, Strip
from piti.data.conditions import CONDITIONS
from piti.data.shards import Shards
from piti.files import atomic, failure


def make_figure(
    card: FigureCard, output: Path, conditions: Sequence[Path], photographs: Sequence[Path], samples: Sequence[Path]
) -> None:
    """Write `output` (PNG). The files come strip by strip: one of conditions, one of photographs, its methods' samples."""
    columns = 2 + max((len(strip.labels) for strip in card.strips), default=0)
    lines = card.images * len(card.strips)
    figure, axes = plt.subplots(max(lines, 1), columns, figsize=(1.7 * columns, 1.7 * max(lines, 1) + 0.5), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    made = iter(samples)
    for number, (strip, condition, photograph) in enumerate(zip(card.strips, conditions, photographs, strict=True)):
        files = [next(made) if digest else None for digest in strip.samples]
        _draw(axes[number * card.images : (number + 1) * card.images], card, strip, condition, photograph, files)
    figure.suptitle(card.title + (f"\n{card.note}" if card.note else ""), fontsize=9)
    figure.tight_layout(pad=0.3, rect=(0, 0, 1, 0.97))
    with atomic(output) as temporary:
        figure.savefig(temporary, format="png", dpi=150, metadata={"Software": None})
    plt.close(figure)


def _draw(axes: np.ndarray, card: FigureCard, strip: Strip, condition: Path, photograph: Path, files: list) -> None:
    """One task: a line for each of its images."""
    stored, photographs = Shards(condition), Shards(photograph, "images")
    ids = list(strip.ids) or _pick(photographs.ids, card.images, card.seed)
    shown = [show_condition(stored[stored.rows(ids)], stored.kind), photographs[photographs.rows(ids)]]
    reasons = ["", ""]
    for file, reason in zip(files, strip.reasons, strict=True):
        failed = failure(file) if file else reason
        shown.append(None if failed else Shards(file, "images")[Shards(file).rows(ids)])
        reasons.append(failed or "")
    for column, (label, images) in enumerate(zip((strip.task, "Photograph", *strip.labels), shown, strict=True)):
        axes[0, column].set_title(label, fontsize=8)
        for row in range(len(ids)):
            if images is None:
                axes[row, column].text(0.5, 0.5, reasons[column], fontsize=6, ha="center", va="center", wrap=True)
            else:
                axes[row, column].imshow(images[row], interpolation="nearest")


def show_condition(stored: np.ndarray, kind: str) -> np.ndarray:
    """A stored condition as people look at it: colour map, edges, normals. uint8 N×S×S×3."""
    if kind == "sketch":
        return np.repeat(stored[..., None] * np.uint8(255), 3, axis=-1)
    encoded = CONDITIONS[kind].encode(stored)[:, :3]
    return np.rint((encoded.transpose(0, 2, 3, 1) + 1) * 127.5).astype(np.uint8)


def _pick(ids: Sequence[str], count: int, seed: int) -> list[str]:
    return [ids[i] for i in sorted(np.random.default_rng(seed).choice(len(ids), min(count, len(ids)), replace=False))]
