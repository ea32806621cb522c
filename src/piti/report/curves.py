"""Training curves: for each row of models.yaml one strip of small panels, a panel a loss term, a line a training."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")

from matplotlib import pyplot as plt

from piti.report.chain import Link

POINTS = 300  # of a line; longer curves are thinned
FEW = 30  # points that are seen as such: looks at validation pairs


def by_row(trainings: Sequence[Link]) -> dict[str, list[Link]]:
    """Row of models.yaml -> its trainings that went well."""
    rows = {}
    for link in sorted(trainings, key=lambda link: link.name):
        if not link.failed:
            rows.setdefault(link.name.split("-")[0], []).append(link)
    return rows


def draw(trainings: Sequence[Link]) -> bytes:
    """The strip of one row, as a PNG."""
    curves = {label(link): read(Path(link.path).with_name("curve.csv")) for link in trainings}
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
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=6, frameon=False
    )
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120, metadata={"Software": None})
    plt.close(figure)
    return picture.getvalue()


def label(link: Link) -> str:
    """What tells a row's trainings apart: task, fraction of the pairs, seed."""
    return f"{link.name.partition('-')[2] or link.name}, seed {link.card['seed']}"


def read(path: Path) -> dict[str, list[float]]:
    """Columns of a curve; not a number where a term had not begun."""
    with open(path, newline="") as handle:
        rows = list(csv.DictReader(handle))
    return {key: [float(row[key] or "nan") for row in rows] for key in rows[0]} if rows else {}
