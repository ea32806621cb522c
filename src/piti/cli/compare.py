"""Print a table training by training, and how far one of its rows is from every other, in Markdown.

piti compare table1 Ours            name the row by label or key
piti compare table4 Ours            or a column, where those are what is compared

The scores of a row stand in the order of its seeds. Below, the named row minus another, seed by seed: the mean of these
differences with its 95 % interval over trainings and images together. A row that is not trained (real images) has one
score for all seeds. Rows without scores are left out, and cells that were selected on the test set.
"""

import statistics
from argparse import ArgumentParser, Namespace

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
    for cell, artefacts in scored(table, plan.by_path):
        if artefacts and not cell.selected and all(state(artefact) == "exists" for artefact in artefacts):
            found = run_of[cell.row, cell.column], [read_json(artefact.path) for artefact in artefacts]
            if across:
                scores[named[cell.column]][f"{cell.row}, {measured[cell.column]}"] = found
            else:
                scores[cell.row][cell.column] = found
    row = named.get(row, row)
    if not scores[row]:
        raise InputError(f"{table.name}: {row}: found no scores, expected those of all its seeds")
    scores = {name: found for name, found in scores.items() if found}
    print(of_trainings(scores, row), differences(plan, scores, row), sep="\n\n")


def of_trainings(scores: dict[str, dict[str, Scores]], row: str) -> str:
    """Every row's scores, a row of the table in a column; the lines as `row` has them."""
    from piti.report.tabular import grid

    def said(found: list[dict]) -> str:
        return ", ".join(number(score["value"]) for score in found)

    shown = {row: {column: said(found) for column, (_, found) in columns.items()} for row, columns in scores.items()}
    lines = dict.fromkeys(column for columns in (scores[row], *scores.values()) for column in columns)
    return grid(["", *shown], [[line, *(column.get(line, "") for column in shown.values())] for line in lines])


def differences(plan: Plan, scores: dict[str, dict[str, Scores]], row: str) -> str:
    """The row minus each other, where both have scores."""
    from piti.report.tabular import grid

    own = scores[row]
    shown = {
        f"{row} − {other}": {
            column: minus(*in_pairs(plan, own[column], columns[column])) for column in own if column in columns
        }
        for other, columns in scores.items()
        if other != row
    }
    return grid(["", *shown], [[line, *(column.get(line, "") for column in shown.values())] for line in own])


def minus(one: list[dict], other: list[dict]) -> str:
    """The mean of the paired differences of two rows, and its interval."""
    from piti.evaluate.intervals import over_trainings
    from piti.evaluate.score import difference

    paired = [difference(a, b) for a, b in zip(one, other, strict=True)]
    return with_interval(statistics.mean(found.value for found in paired), *over_trainings(paired))
