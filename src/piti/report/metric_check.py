"""The table that says whether the scores of all others can be believed."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pandas as pd

from piti.cards import MetricCheckCard
from piti.report.tabular import About, markdown, write
from piti.store.files import write_text


def rises(heads: Sequence[str], values: Sequence[float]) -> str:
    """Whether each value is above the one before: "yes", "from" the head where that begins, or "no".

    A weak distortion may change no rounded pixel, or less than what the floor owes to chance.
    """
    falls = [place for place, (a, b) in enumerate(pairwise(values), 1) if a >= b]
    if not falls:
        return "yes"
    return f"from {heads[falls[-1]]}" if falls[-1] < len(values) - 1 else "no"


def short(value: float) -> str:
    """Three digits, and no power of ten where there are more: 0.885, 131, 1377."""
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def write_check(card: MetricCheckCard, output: Path, lines: list[dict]) -> None:
    """Write `output` (table.csv), table.tex and table.md for people, long.csv for programs.

    lines: as `piti.evaluate.metric_check.check_metric` finds them.
    """
    strengths = (0.0, *card.strengths)
    head = ["Distortion", "floor", *(f"{strength:g}" for strength in card.strengths), "rises"]
    shown, long = [], []
    for line in lines:
        values = line.pop("values")
        name = f"{line['distortion']}, {line['metric']} ({line['extractor']})"
        shown.append([name, *map(short, values), rises(head[1:-1], values)])
        long += [line | {"strength": s, "value": value} for s, value in zip(strengths, values, strict=True)]
    shown = shown or [[card.reason, *["-"] * (len(head) - 1)]]
    about = About(card.name, card.title, card.preset, card.note, str(lines[0]["n"] if lines else 0))
    remark = f"n = {about.n}, seed {card.seed}; floor: real images against others."
    kept = pd.DataFrame(long).assign(preset=card.preset, note=card.note)
    write_text(output.with_name("long.csv"), kept.to_csv(index=False))
    write_text(output.with_name("table.md"), markdown(about, head, shown, remark))
    write(output, about, head, shown)
