"""Tables: CSV and LaTeX in the paper's shape, a long CSV of where each number comes from, Markdown for people."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from piti.cards import Cell, TableCard
from piti.evaluate.intervals import over_trainings
from piti.evaluate.score import estimate
from piti.report.tabular import NOT_AS_IN_THE_PAPER, PAPERS_OWN, About, grid, markdown, papers_own, write
from piti.store.chain import not_converged
from piti.store.files import InputError, failure, read_json, write_text
from piti.units import decimals, number

KEYS = ("value", "pseudo_values", "sizes", "extractor")  # of a score
DAGGER = "†"  # behind a number of trainings that did not converge
# by what the long table says of a number's trainings
NOT_CONVERGED = {
    "": "",
    "no": f"{DAGGER} not converged: a training behind this number still improved at its last step",
    "unknown": f"{DAGGER} may not have converged: the cards of a training behind this number are not here",
}


def make_table(card: TableCard, output: Path, scores: Sequence[Path]) -> None:
    """Write `output` (table.csv), table.tex, long.csv and table.md. `scores` are the cells' score files, cell by cell.

    A cell without a number says why. Raises InputError where scores of one table do not compare.
    """
    if len(scores) != sum(len(cell.scores) for cell in card.cells):
        raise InputError(f"{card.name}: scores: found {len(scores)} files, expected one for each score of the card")
    files, rows = iter(scores), []
    for cell in card.cells:
        rows.append(_row(card, cell, [next(files) for _ in cell.scores]))
    long = pd.DataFrame(rows).astype({"n": "Int64"})  # whole numbers where some are missing, too
    _check_comparable(card, long)
    shown = long.assign(shown=[shown_value(row) for row in rows])
    wide = shown.pivot(index="row", columns="column", values="shown").loc[list(card.rows), list(card.columns)]
    wide.index.name = wide.columns.name = None
    write_text(output.with_name("long.csv"), long.to_csv(index=False))
    made = long["n"].dropna()
    note = "; ".join(filter(None, [card.note, *(NOT_CONVERGED[said] for said in dict.fromkeys(long["converged"]))]))
    about = About(card.name, card.title, card.preset, note, ", ".join(map(str, dict.fromkeys(made))))
    write_text(output.with_name("table.md"), _beside_the_paper(about, long, wide))
    rows = [[row, *wide.loc[row]] for row in wide.index]
    write(output, about, ["Method", *wide.columns], rows, marks(card, long))


def marks(card: TableCard, long: pd.DataFrame) -> dict[tuple[int, int], str]:
    """The best and the second of each column, as they are shown; a ceiling is no contestant."""
    contestants = [cell.row for cell in card.cells if not cell.ceiling]
    found = {}
    for column, heading in enumerate(card.columns, 1):
        group = long[(long["column"] == heading) & long["value"].notna() & long["row"].isin(contestants)]
        values = group.set_index("row")["value"].map(lambda value: round(value, decimals(value)))  # as they are shown
        ranked = sorted(set(values), reverse=bool(group["higher_is_better"].any()))
        for mark, value in zip(("best", "second"), ranked, strict=False):
            found |= {(card.rows.index(row), column): mark for row in values[values == value].index}
    return found


def _row(card: TableCard, cell: Cell, files: list[Path]) -> dict:
    """One line of the long table: the mean over the seeds, or the reason why there is none."""
    reasons = [reason for file in files if (reason := failure(file))]
    found = [] if reasons else [read_json(file, *KEYS) for file in files]
    for key in ("extractor", "n", "reference"):
        if other := [score for score in found if score.get(key) != found[0].get(key)]:
            both = f"{found[0].get(key)} and {other[0].get(key)}"
            raise InputError(f"{card.name}: {cell.row}, {cell.column}: {key}: found {both}, expected the same in all")
    if cell.selected and found:
        best, trainings = max if found[0]["higher_is_better"] else min, len(cell.seeds)
        parts = [slice(start, start + trainings) for start in range(0, len(found), trainings)]
        part = best(parts, key=lambda part: statistics.mean(score["value"] for score in found[part]))
        files, found = files[part], found[part]
    low, high = over_trainings([estimate(score) for score in found]) if found else (None, None)
    reason = f"failed: {reasons[0]}" if reasons else cell.reason
    one = found[0] if found else {"extractor": {}}
    return {
        "row": cell.row,
        "column": cell.column,
        "value": statistics.mean(score["value"] for score in found) if found else None,
        "paper": cell.paper,
        "low": low,
        "high": high,
        "kid": statistics.mean(score["kid"] for score in found) if "kid" in one else None,
        "n": one.get("n"),
        "higher_is_better": one.get("higher_is_better", False),
        "extractor": one["extractor"].get("name", cell.extractor),
        "layer": one["extractor"].get("layer"),
        "reference": one.get("reference"),
        "seeds": " ".join(map(str, cell.seeds)),
        "preset": card.preset,
        "note": card.note,
        "comparable": "yes" if card.comparable and not cell.substitution else "no",
        "substitution": cell.substitution,
        "selected": f"best of {len(cell.scores) // len(cell.seeds)} on the test set" if cell.selected else "",
        "converged": converged(files, cell.by_rule) if found else "",
        "run": cell.run,
        "card": " ".join(cell.scores),
        "reason": reason,
    }


def converged(files: Sequence[Path], by_rule: bool) -> str:
    """ "no" of a training behind these, "unknown", or nothing where all have, or were never meant to."""
    improving = not_converged(files, by_rule).values()
    return ("no" if any(link.step for link in improving) else "unknown") if improving else ""


def shown_value(row: dict) -> str:
    """The cell as people read it: a number, marked where its training did not converge, or why there is none."""
    if row["value"] is None:
        return row["reason"] or "-"
    return number(row["value"]) + (DAGGER if row["converged"] else "")


def _check_comparable(card: TableCard, long: pd.DataFrame) -> None:
    """One extractor, and in every column one reference and one n: else the numbers say nothing side by side."""
    made = long[long["value"].notna()]
    for column, group in made.groupby("column"):
        for key in ("extractor", "layer", "n", "reference"):
            if group[key].nunique() > 1:
                found = ", ".join(map(str, sorted(group[key].unique())))
                raise InputError(f"{card.name}: {column}: {key}: found {found}, expected the same in every row")


def _beside_the_paper(about: About, long: pd.DataFrame, wide: pd.DataFrame) -> str:
    """The table in Markdown, with what one must know to read it. The paper's number stands beside ours, or apart."""
    beside = long["comparable"].eq("yes") & long["paper"].ne("-")
    brackets = long.assign(brackets=(" (" + long["paper"] + ")").where(beside, ""))
    both = wide + brackets.pivot(index="row", columns="column", values="brackets").loc[wide.index, wide.columns]
    made = long[long["value"].notna()]
    facts = ["the paper's number in brackets"] if beside.any() else []
    for key, name in (("extractor", "measured by"), ("n", "n ="), ("seeds", "trained with seed")):
        if said := ", ".join(filter(None, dict.fromkeys(map(str, made[key])))):
            facts.append(f"{name} {said}")
    facts.append("comparable with the paper: " + ", ".join(sorted(set(long["comparable"]))))
    remarks = ["; ".join(facts) + "."]
    for row in dict.fromkeys(long[long["selected"] != ""]["row"]):
        remarks.append(f"{row}: selected on the test set.")
    for column, group in long[long["substitution"] != ""].groupby("column"):
        remarks.append(f"{column}: {NOT_AS_IN_THE_PAPER} ({group['substitution'].iloc[0]}).")
    head, apart = papers_own(long.to_dict("records"))
    remarks += [PAPERS_OWN, grid(head, apart)] if apart else []
    return markdown(about, ["Method", *both.columns], [[row, *both.loc[row]] for row in both.index], *remarks)
