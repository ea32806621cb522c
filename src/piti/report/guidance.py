"""Curves below a guidance sweep (paper figure 6): how the pictures' spread and saturation change with w."""

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

SATURATED = 0.98  # of the largest value


class Measured(NamedTuple):
    """One column of a sweep."""

    curve: str
    guidance: float | None  # nothing: a level for all w
    deviation: float
    saturation: float


def measure(curve: str, guidance: float | None, pictures: np.ndarray) -> Measured:
    """pictures: uint8 N×S×S×3. Mean over them of the standard deviation of their values x in [-1, 1], and the fraction
    of values with |x| > 0.98."""
    x = pictures / 127.5 - 1
    return Measured(curve, guidance, x.std(axis=(1, 2, 3)).mean(), (np.abs(x) > SATURATED).mean())


def draw(figure: Figure, height: float, columns: list[Measured], count: int) -> None:
    """Both measures over w in the lowest part, `height` (0 to 1), of a figure; each point is of `count` pictures."""
    names = list(dict.fromkeys(column.curve for column in columns))
    labels = {"deviation": "standard deviation", "saturation": f"fraction of values with |x| > {SATURATED}"}
    for place, (measured, label) in enumerate(labels.items()):
        axes = figure.add_axes((0.09 + 0.5 * place, 0.3 * height, 0.38, 0.55 * height))
        for name in names:
            found = [column for column in columns if column.curve == name]
            if found[0].guidance is None:
                axes.axhline(getattr(found[0], measured), color="0.4", linestyle="--", label=name)
            else:
                found.sort(key=lambda column: column.guidance)
                values = [getattr(column, measured) for column in found]
                axes.plot([column.guidance for column in found], values, "o-", label=name)
        axes.set_xlabel(f"w (n = {count} pictures a point)", fontsize=7)
        axes.set_title(label, fontsize=7)
        axes.tick_params(labelsize=6)
        axes.set_ylim(0, 1.2 * max(getattr(column, measured) for column in columns))
        axes.legend(fontsize=6, frameon=False)
