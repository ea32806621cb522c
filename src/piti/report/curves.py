"""Training curves: for each row of models.yaml one strip of small panels, a panel a loss term, a line a training; and
what looks at validation pairs saw, all rows side by side."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from piti.cards.train import VALIDATION, row_of
from piti.store.chain import Link

POINTS = 300  # of a line; longer curves are thinned
FEW = 30  # points that are seen as such: looks at validation pairs


def by_row(trainings: Sequence[Link], rows: Sequence[str]) -> dict[str, dict[str, Link]]:
    """Row of models.yaml -> its trainings that went well, by task, fraction of the pairs and seed."""
    found = {}
    for link in sorted(trainings, key=lambda link: link.name):
        if not link.failed:
            row, task = named(link, rows)
            found.setdefault(row, {})[f"{task or row}, seed {link.card['seed']}"] = link
    return found


def named(link: Link, rows: Sequence[str]) -> tuple[str, str]:
    """A training's row of models.yaml, and its task with the fraction of the pairs; a prior has none."""
    row = row_of(rows, link.name) or link.name
    return row, link.name.removeprefix(row).removeprefix("-")


def draw(trainings: Mapping[str, Link]) -> bytes:
    """The strip of one row, as a PNG."""
    curves = {name: read(Path(link.path).with_name("curve.csv")) for name, link in trainings.items()}
    terms = list(dict.fromkeys(term for curve in curves.values() for term in curve if term != "step"))
    figure, axes = plt.subplots(
        1, len(terms), figsize=(2.4 * len(terms), 2.3), squeeze=False, sharex=True, layout="constrained"
    )
    for axis, term in zip(axes[0], terms, strict=True):
        for name, curve in ((name, curve) for name, curve in curves.items() if term in curve):
            points = [(s, v) for s, v in zip(curve["step"], curve[term], strict=True) if not math.isnan(v)]
            shown = np.reshape(points[:: math.ceil(len(points) / POINTS) or 1], (-1, 2))
            axis.plot(*shown.T, linewidth=1, marker="." if len(points) < FEW else "", label=name)
        axis.set_title(term.replace("_", " "), fontsize=7)
        axis.tick_params(labelsize=6)
    axes[0, 0].set_xlabel("step", fontsize=6)
    return png(figure, *axes[0, 0].get_legend_handles_labels())


def convergence(trainings: Sequence[Link], links: Mapping[str, Link], rows: Sequence[str]) -> bytes | None:
    """What looks at validation pairs saw against minutes, a panel a task and measure, a colour a row, as a PNG.

    None where no training was looked at.
    """
    if not (panels := looks(trainings, links, rows)):
        return None
    figure, axes = plt.subplots(1, len(panels), figsize=(3.4 * len(panels), 2.8), squeeze=False, layout="constrained")
    shown = sorted({row for lines in panels.values() for row, _ in lines})
    for axis, ((task, measure), lines) in zip(axes[0], sorted(panels.items()), strict=True):
        for row, line in lines:
            axis.plot(*line.T, marker=".", markersize=3, linewidth=0.8, color=f"C{shown.index(row)}")
        axis.set_title(f"{task}, {measure}".replace("_", " "), fontsize=7)
        axis.set(xscale="log", yscale="log" if measure == "distance" else "linear")
        for scale in (axis.xaxis, axis.yaxis) if measure == "distance" else (axis.xaxis,):
            scale.set_major_locator(LogLocator(subs=(1, 2, 5)))
            scale.set_major_formatter("{x:g}")
            scale.set_minor_formatter(NullFormatter())
        axis.tick_params(labelsize=6)
        axis.set_xlabel("minutes of training", fontsize=6)
    return png(figure, [Line2D([], [], color=f"C{number}") for number in range(len(shown))], shown)


def looks(
    trainings: Sequence[Link], links: Mapping[str, Link], rows: Sequence[str]
) -> dict[tuple[str, str], list[tuple[str, np.ndarray]]]:
    """(task, measure) -> for each training on all pairs its row, and minutes and values, N x 2."""
    found = {}
    for link in sorted(trainings, key=lambda link: link.name):
        if link.failed or link.card.get("fraction", 1) != 1:
            continue
        row, task = named(link, rows)
        curve = read(Path(link.path).with_name("curve.csv"))
        for measure in (term for term in curve if term.startswith(VALIDATION)):
            seen = [(s, v) for s, v in zip(curve["step"], curve[measure], strict=True) if not math.isnan(v)]
            line = np.array([(minutes(link, links, step), value) for step, value in seen])
            found.setdefault((task, measure.removeprefix(VALIDATION)), []).append((row, line))
    return found


def minutes(link: Link, links: Mapping[str, Link], step: float = math.inf) -> float:
    """How long it took to get to a step, with the trainings that it started from."""
    before = [links[path] for path in link.inputs.get("init", ()) if links[path].step == "train"]
    pieces = [piece for piece in link.made["history"] if piece["from"] < step]
    parts = [piece["seconds"] * min(1, (step - piece["from"]) / (piece["to"] - piece["from"])) for piece in pieces]
    return sum(parts) / 60 + sum(minutes(parent, links) for parent in before)


def png(figure: Figure, handles: Sequence, labels: Sequence[str]) -> bytes:
    """The figure with its legend below it."""
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=6, frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120, metadata={"Software": None})
    plt.close(figure)
    return picture.getvalue()


def read(path: Path) -> dict[str, list[float]]:
    """Columns of a curve; not a number where a term had not begun."""
    with open(path, newline="") as handle:
        rows = list(csv.DictReader(handle))
    return {key: [float(row[key] or "nan") for row in rows] for key in rows[0]} if rows else {}
