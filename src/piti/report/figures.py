"""Figures: for each task some test images, each a line of pictures: condition, real image, what each method made."""

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from piti.cards import Column, FigureCard, Strip
from piti.data.shards import Shards, pick
from piti.evaluate.measures import MEASURES
from piti.report import guidance
from piti.store.files import atomic, failure, read_json

INCH = 1.6  # side of a picture, inches
DPI = 160  # 256 px a picture, a whole multiple of every preset's resolution
GAP = 0.04  # between pictures; this and all lengths below in sides of a picture
TEXT = 0.16  # height of a line of text
CURVES = 1.5  # height of the curves below a sweep
UNDATED = {"png": {"Software": None}, "pdf": {"Creator": None, "Producer": None, "CreationDate": None}}


class Shown(NamedTuple):
    """One place of a figure."""

    heading: str
    picture: np.ndarray | None  # S×S×3 uint8
    text: str = ""  # below the picture, or why there is none


Line = Sequence[Shown]


def make_figure(card: FigureCard, output: Path, pictures: Sequence[Path], scores: Sequence[Path] = ()) -> None:
    """Write `output` (PNG) and the same beside it as PDF.

    pictures: a file for each column that has any. scores: one for each strip that shows the worst images.
    """
    files, measured_by = iter(pictures), iter(scores)
    strips = [strip_columns(card, strip, files, measured_by) for strip in card.strips]
    lines = [line for columns in strips for line in strip_lines(card, columns)] or [[Shown("", None, "no data")]]
    curves = measured(card.strips, strips)
    footer = " ".join(dict.fromkeys(footers(pictures)))
    width = max(len(line) for line in lines) * (1 + GAP)
    height = 2 * TEXT + sum(map(line_height, lines)) + (2 * TEXT if footer else 0) + (CURVES if curves else 0)
    figure = plt.figure(figsize=(INCH * width, INCH * height))
    axes = figure.add_axes((0, 0, 1, 1))
    write(axes, width / 2, TEXT, card.title + (f" ({card.note})" if card.note else ""), width, size=8)
    top = 2 * TEXT
    for line in lines:
        draw_line(axes, line, top)
        top += line_height(line)
    write(axes, width / 2, top + TEXT, footer, width)
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    if curves:
        guidance.draw(figure, CURVES / height, curves, len(strips[0][0]))
    for form, metadata in UNDATED.items():
        with atomic(output.with_suffix(f".{form}")) as temporary:
            figure.savefig(temporary, format=form, dpi=DPI, metadata=metadata)
    plt.close(figure)


def strip_columns(card: FigureCard, strip: Strip, files: Iterator[Path], scores: Iterator[Path]) -> list[list[Shown]]:
    """The columns of one task: what each shows of the same images."""
    score = next(scores) if strip.worst else None
    unmeasured = failure(score) if score else None
    values = worst_first(score) if score and not unmeasured else {}
    given = [next(files) if column.pictures else None for column in strip.columns]
    ids = strip.ids or list(values)[: card.images] or picked(card, strip, given)
    columns = [column_pictures(column, file, ids) for column, file in zip(strip.columns, given, strict=True)]
    if values and columns[0][0].picture is not None:
        columns[0] = [shown._replace(text=values.get(i, "")) for shown, i in zip(columns[0], ids, strict=True)]
    if unmeasured:
        chosen = "no values" if strip.ids else "picked by seed"
        columns[0][0] = columns[0][0]._replace(text=f"{chosen}: {unmeasured}")
    return columns


def picked(card: FigureCard, strip: Strip, files: Sequence[Path | None]) -> list[str]:
    """Test images picked by seed, from the first column that has pictures; variants are of picked images already."""
    for column, file in zip(strip.columns, files, strict=True):
        if file and not failure(file):
            names = Shards(file).ids
            if column.variant:
                return list(dict.fromkeys(name.rpartition("/")[0] for name in names))
            return pick(names, card.images, card.seed, card.page)
    return [""]


def worst_first(score: Path) -> dict[str, str]:
    """The images that a score of alignment has values of, the worst first, and what to say of them."""
    found = read_json(score)
    sign = 1 if found["higher_is_better"] else -1
    values = {i: value for i, value in found["images"].items() if value is not None}
    head = MEASURES[found["extractor"]["layer"]].head
    return {i: f"{head} {values[i]:.1f}" for i in sorted(values, key=lambda i: (sign * values[i], i))}


def strip_lines(card: FigureCard, columns: list[list[Shown]]) -> Iterator[Line]:
    """The lines of one task: for each image one, or several where they wrap, and below each its middle if asked for."""
    wrap = card.wrap or len(columns)
    for line in zip(*columns, strict=True):
        for part in (line[start : start + wrap] for start in range(0, len(line), wrap)):
            yield part
            if card.crop:
                yield [Shown("", middle(shown.picture, card.crop)) for shown in part]


def measured(strips: Sequence[Strip], shown: list[list[list[Shown]]]) -> list[guidance.Measured]:
    """The points of the curves over w, where columns have one and have pictures."""
    return [
        guidance.measure(column.curve, column.guidance, np.stack([place.picture for place in places]))
        for strip, columns in zip(strips, shown, strict=True)
        for column, places in zip(strip.columns, columns, strict=True)
        if column.curve and places[0].picture is not None
    ]


def column_pictures(column: Column, file: Path | None, ids: Sequence[str]) -> list[Shown]:
    """What a column shows of these images. Its heading, or the reason why it shows none, stands with the first."""
    reason = failure(file) if file else column.reason
    headings = [column.heading] + [""] * (len(ids) - 1)
    if reason:
        return [Shown(heading, None, reason if heading else "") for heading in headings]
    stored = Shards(file)
    names = [f"{i}/{column.variant}" for i in ids] if column.variant else ids
    texts = [stored.attributes.get("captions", {}).get(name, "") for name in names]
    return list(map(Shown, headings, stored.form.paint(stored[stored.rows(names)])[0], texts))


def footers(files: Sequence[Path]) -> Iterator[str]:
    """What the artefacts say about all of their pictures."""
    for file in files:
        if not failure(file) and (footer := Shards(file).attributes.get("footer")):
            yield footer


def line_height(line: Line) -> float:
    below = TEXT * any(shown.text for shown in line if shown.picture is not None)
    return heading_height(line) + picture_height(line) + GAP + below


def heading_height(line: Line) -> float:
    return TEXT * any(shown.heading for shown in line)


def picture_height(line: Line) -> float:
    """The height of a line, in sides of a picture: lower where it has only the reason why there is none."""
    return 1 if any(shown.picture is not None for shown in line) else 3 * TEXT


def draw_line(axes: Axes, line: Line, top: float) -> None:
    """Draw a line of pictures below `top`: headings if there are any, pictures, texts if there are any."""
    upper = top + heading_height(line)
    for place, shown in enumerate(line):
        left = place * (1 + GAP) + GAP / 2
        write(axes, left + 0.5, (top + upper) / 2, shown.heading)
        if shown.picture is None:
            write(axes, left + 0.5, upper + picture_height(line) / 2, shown.text)
        else:
            write(axes, left + 0.5, upper + 1 + TEXT / 2, shown.text, size=6)
            axes.imshow(shown.picture, extent=(left, left + 1, upper + 1, upper), interpolation="none", aspect="auto")


def write(axes: Axes, x: float, y: float, text: str, width: float = 1.0, size: float = 7) -> None:
    """Centred text, broken into lines where it is wider than `width`."""
    letters = int(width * INCH * 72 / (0.55 * size))  # an average letter is about so wide
    axes.text(x, y, textwrap.fill(text, letters), fontsize=size, ha="center", va="center")


def middle(picture: np.ndarray | None, part: float) -> np.ndarray | None:
    """The square in the middle that takes `part` of the side."""
    if picture is None:
        return None
    side = len(picture)
    edge = round(side * (1 - part) / 2)
    return picture[edge : side - edge, edge : side - edge]
