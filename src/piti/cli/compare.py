"""Print a table training by training, and how far one of its rows is from every other, in Markdown.

piti compare table1 Ours            name the row by label or key
piti compare table4 Ours            or a column, where those are what is compared

The scores of a row stand in the order of its seeds. Below, the named row minus another, seed by seed: the mean of these
differences with its 95 % interval over trainings and images together. A row that is not trained (real images) has one
score for all seeds. Rows without scores are left out, and cells that were selected on the test set. Where two cells are
not comparable, a line below says why.
"""

import statistics
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

from piti.cli.explain import pick, scored, state
from piti.config import Config, Run
from piti.plan import Plan, resolve
from piti.plan.tables import head, in_pairs, join, label
from piti.store.files import InputError, read_json
from piti.units import number, with_interval

Scores = tuple[Run, list[dict]]  # of a cell, one a seed


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("table")
    parser.add_argument("row", help="or column, that is compared with the others")


def run(arguments: Namespace, config: Config) -> None:
    plan, tables, _ = resolve(config)
    table = pick(arguments.table, {name: tables[name] for name in config.tables}, "table")
    keys, card = config.tables[table.name], table.card
    rows = dict(zip(keys.rows, card.rows, strict=True))
    columns = dict(zip(keys.columns, card.columns, strict=True))
    named = {columns[key]: label(plan, run, key) for key, run in keys.columns.items()}
    measured = {columns[key]: head(plan, join(keys.run, run)) for key, run in keys.columns.items()}
    row = pick(arguments.row, columns | rows, f"{table.name}: row or column")
    across = row not in card.rows
    # row -> column -> its run, and a score for each seed; across: column -> row
    scores: dict[str, dict[str, Scores]] = {name: {} for name in (named.values() if across else card.rows)}
    run_of = {(rows[r], columns[c]): join(keys.run, keys.rows[r], keys.columns[c]) for r in rows for c in columns}
    selected = set()  # of the rows, those with such cells
    for cell, artefacts in scored(table, plan.by_path):
        name, line = cell.row, cell.column
        if across:
            name, line = named[cell.column], f"{cell.row}, {measured[cell.column]}"
        if cell.selected:
            selected.add(name)
        elif artefacts and all(state(artefact) == "exists" for artefact in artefacts):
            scores[name][line] = run_of[cell.row, cell.column], [read_json(artefact.path) for artefact in artefacts]
    row = named.get(row, row)
    if not scores[row]:
        found = "cells selected on the test set (best_of)" if row in selected else "no scores"
        raise InputError(f"{table.name}: {row}: found {found}, expected scores of all its seeds")
    scores = {name: found for name, found in scores.items() if found}
    print(of_trainings(scores, row), *differences(plan, scores, row), sep="\n\n")


def of_trainings(scores: dict[str, dict[str, Scores]], row: str) -> str:
    """Every row's scores, a row of the table in a column; the lines as `row` has them."""
    from piti.report.tabular import grid

    def said(found: list[dict]) -> str:
        return ", ".join(number(score["value"]) for score in found)

    shown = {row: {column: said(found) for column, (_, found) in columns.items()} for row, columns in scores.items()}
    lines = dict.fromkeys(column for columns in (scores[row], *scores.values()) for column in columns)
    return grid(["", *shown], [[line, *(column.get(line, "") for column in shown.values())] for line in lines])


def differences(plan: Plan, scores: dict[str, dict[str, Scores]], row: str) -> Iterator[str]:
    """The row minus each other, where both have scores; and why some of these are not comparable."""
    from piti.report.tabular import grid

    own, shown, reasons = scores[row], {}, {}
    both = [(other, line) for other in scores for line in own if other != row and line in scores[other]]
    for other, line in both:
        column = shown.setdefault(f"{row} − {other}", {})
        try:
            column[line] = minus(*in_pairs(plan, own[line], scores[other][line]))
        except InputError as error:
            column[line] = "not comparable"
            reasons[f"{row} − {other}: {error}"] = None  # once for all lines
    if shown:
        yield grid(["", *shown], [[line, *(column.get(line, "") for column in shown.values())] for line in own])
    yield from reasons


def minus(one: list[dict], other: list[dict]) -> str:
    """The mean of the paired differences of two rows, and its interval."""
    from piti.evaluate.intervals import over_trainings
    from piti.evaluate.score import difference

    paired = [difference(a, b) for a, b in zip(one, other, strict=True)]
    return with_interval(statistics.mean(found.value for found in paired), *over_trainings(paired))
