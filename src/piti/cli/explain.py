"""Print what stands behind a cell of a table, or a figure: every artefact, what it is made of, and whether it exists.

piti explain table1                 the cells of a table
piti explain table1 Ours ADE20K     the chain behind one cell; name row and column by label or key
piti explain figure3                the chain behind a figure
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from piti.cards import Cell
from piti.cards.base import to_dict
from piti.config import Config
from piti.plan import Artefact, Plan, resolve
from piti.registry import unknown_key
from piti.store.chain import fields
from piti.store.files import InputError, failure, read_json
from piti.units import with_interval


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("table", help="or a figure")
    parser.add_argument("row", nargs="?")
    parser.add_argument("column", nargs="?")


def run(arguments: Namespace, config: Config) -> None:
    plan, tables, figures = resolve(config)
    table = pick(arguments.table, tables | figures, "table or figure")
    print(f"{table.name}: {table.card.title} ({config.preset}) {state(table)}")
    if arguments.row is None:
        print(
            "\n".join(
                chain(table, plan.by_path, set()) if not hasattr(table.card, "cells") else cells(table, plan.by_path)
            )
        )
        return
    print("\n".join(explain(plan, table, arguments.row, arguments.column)))


def cells(table: Artefact, by_path: dict[str, Artefact]) -> Iterator[str]:
    """One line a cell: where it stands, and whether its scores are there."""
    for cell, scores in scored(table, by_path):
        found = "; ".join(map(measured, scores)) or cell.reason
        yield f"  {cell.row} / {cell.column}: {found}"


def explain(plan: Plan, table: Artefact, row: str, column: str | None) -> Iterator[str]:
    """The cells of a row, or the one in a column of it, with the chain behind each."""
    keys = plan.config.tables.get(table.name)
    if keys is None:
        raise InputError(f"{table.name}: found a row, expected the table's name alone")
    row = pick(row, dict(zip(keys.rows, table.card.rows, strict=True)), f"{table.name}: row")
    if column is not None:
        column = pick(column, dict(zip(keys.columns, table.card.columns, strict=True)), f"{table.name}: column")
    for cell, scores in scored(table, plan.by_path):
        if cell.row == row and column in (cell.column, None):
            found = "; ".join(map(measured, scores)) or "no score"
            yield f"{cell.row} / {cell.column}: {cell.run}: {found}; the paper has {cell.paper}"
            yield from [f"  {cell.reason}"] if cell.reason else []
            printed: set[str] = set()
            for score in scores:
                yield from chain(score, plan.by_path, printed)


def scored(table: Artefact, by_path: dict[str, Artefact]) -> Iterator[tuple[Cell, list[Artefact]]]:
    """Every cell with its scores."""
    paths = iter(table.inputs.get("scores", ()))
    for cell in table.card.cells:
        yield cell, [by_path[next(paths)] for _ in cell.scores]


def chain(artefact: Artefact, by_path: dict[str, Artefact], printed: set[str], depth: int = 1) -> Iterator[str]:
    """An artefact, its card, and below it what it is made from; what has been printed once is named again only."""
    indent = "  " * depth
    again = artefact.path in printed
    yield f"{indent}{artefact.step} {artefact.name} {artefact.digest} {'(above)' if again else state(artefact)}"
    if again:
        return
    printed.add(artefact.path)
    yield f"{indent}  | {artefact.path}"
    known = {one.digest for one in by_path.values()} | {getattr(artefact.card, "code", "")}
    said = [f"{k}={v}" for k, v in fields(to_dict(artefact.card)).items() if not isinstance(v, str) or v not in known]
    yield f"{indent}  | {', '.join(said)}"
    for given in artefact.given.values():
        yield f"{indent}  given {given}"
    for path in (path for paths in artefact.inputs.values() for path in paths):
        yield from chain(by_path[path], by_path, printed, depth + 1)


def state(artefact: Artefact) -> str:
    """exists, missing, or failed and why."""
    path = Path(artefact.path)
    if not path.exists():
        return "missing"
    reason = failure(path) if path.is_file() else None
    return f"failed: {reason}" if reason else "exists"


def measured(score: Artefact) -> str:
    """A score's number, interval and n; or why there is none."""
    if (found := state(score)) != "exists":
        return found
    said = read_json(score.path)
    return f"{with_interval(said['value'], *said['interval'])}, n = {said['n']}"


def pick(asked: str, among: dict, what: str):
    """The value under a key, or the value that is asked for itself or by its beginning; case does not count."""
    for key, value in among.items():
        if asked.casefold() in (key.casefold(), str(value).casefold()):
            return value
    begin = {key: value for key, value in among.items() if str(value).casefold().startswith(f"{asked.casefold()},")}
    if len(begin) > 1:
        several = " or ".join(f"{key} ({value})" for key, value in begin.items())
        raise InputError(f"{what}: found {asked!r}, expected {several}")
    if begin:
        return begin.popitem()[1]
    names = [name for key, value in among.items() for name in (key, value) if isinstance(name, str)]
    raise InputError(unknown_key(asked, names, what).replace("key", "name"))
