"""Figures: for each task some test images, each a line: condition, what the methods made of it, photograph."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt

from piti.cards import FigureCard, Strip
from piti.data.conditions import CONDITIONS
from piti.data.shards import Shards
from piti.files import atomic, failure

INCH = 1.4  # side of a picture


class Column(NamedTuple):
    """One column of a task: its pictures, or why there are none."""

    heading: str
    pictures: np.ndarray | None  # uint8 N×S×S×3
    reason: str = ""


def make_figure(
    card: FigureCard,
    output: Path,
    conditions: Sequence[Path],
    photographs: Sequence[Path],
    low_res: Sequence[Path],
    samples: Sequence[Path],
) -> None:
    """Write `output` (PNG). Files come strip by strip: one of conditions, one of photographs, its methods' samples."""
    small, made = iter(low_res), iter(samples)
    strips = []
    for strip, condition, photograph in zip(card.strips, conditions, photographs, strict=True):
        files = [next(made) if digest else None for digest in strip.samples]
        strips.append(columns(card, strip, condition, photograph, next(small) if strip.low_res else None, files))
    strips = strips or [[Column("", None, "no data")]]
    heights, width = [_lines(card, strip) for strip in strips], max(len(strip) for strip in strips)
    size = (INCH * width, INCH * sum(heights) + 0.25 * len(strips) + 0.4)
    figure = plt.figure(figsize=size, layout="constrained")
    for part, strip in zip(np.atleast_1d(figure.subfigures(len(strips), height_ratios=heights)), strips, strict=True):
        _draw(part.subplots(_lines(card, strip), width, squeeze=False), strip, card.crop)
    figure.suptitle(card.title + (f" ({card.note})" if card.note else ""), fontsize=8)
    with atomic(output) as temporary:
        figure.savefig(temporary, format="png", dpi=150, metadata={"Software": None})
    plt.close(figure)


def columns(
    card: FigureCard,
    strip: Strip,
    condition: Path,
    photograph: Path,
    low_res: Path | None,
    files: Sequence[Path | None],
) -> list[Column]:
    """The columns of one task, for its chosen images."""
    stored, photographs = Shards(condition), Shards(photograph, "images")
    ids = list(strip.ids) or pick(photographs.ids, card.images, card.seed)
    found = [Column(strip.task, show_condition(stored[stored.rows(ids)], stored.kind))]
    named = [("Low resolution", low_res, "")] if low_res else []
    named += zip(strip.labels, files, strip.reasons, strict=True)
    for heading, file, reason in named:
        reason = failure(file) if file else reason
        pictures = None if reason else Shards(file, "images")
        found.append(Column(heading, None if reason else pictures[pictures.rows(ids)], reason or ""))
    return [*found, Column("Photograph", photographs[photographs.rows(ids)])]


def show_condition(stored: np.ndarray, kind: str) -> np.ndarray:
    """A stored condition as people look at it: colour map, edges, normals. uint8 N×S×S×3."""
    if kind == "sketch":
        return np.repeat(stored[..., None] * np.uint8(255), 3, axis=-1)
    encoded = CONDITIONS[kind].encode(stored)[:, :3]
    return np.rint((encoded.transpose(0, 2, 3, 1) + 1) * 127.5).astype(np.uint8)


def pick(ids: Sequence[str], count: int, seed: int) -> list[str]:
    """Some ids, by seed, in their order."""
    return [ids[i] for i in sorted(np.random.default_rng(seed).choice(len(ids), min(count, len(ids)), replace=False))]


def _lines(card: FigureCard, strip: list[Column]) -> int:
    return 1 if strip[0].pictures is None else len(strip[0].pictures) * (2 if card.crop else 1)


def _draw(axes: np.ndarray, strip: list[Column], crop: float) -> None:
    """One task: a line for each image, and under it, where a crop is asked for, its enlarged middle."""
    for axis in axes.flat:
        axis.set_axis_off()
    for place, column in enumerate(strip):
        axes[0, place].set_title(column.heading, fontsize=7)
        if column.pictures is None:
            axes[0, place].text(0.5, 0.5, column.reason, fontsize=6, ha="center", va="center", wrap=True)
            continue
        shown = [
            view for picture in column.pictures for view in ([picture, middle(picture, crop)] if crop else [picture])
        ]
        for axis, picture in zip(axes[:, place], shown, strict=True):
            axis.imshow(picture, interpolation="nearest")


def middle(picture: np.ndarray, part: float) -> np.ndarray:
    """The square in the middle that takes `part` of the side."""
    side = len(picture)
    edge = round(side * (1 - part) / 2)
    return picture[edge : side - edge, edge : side - edge]
