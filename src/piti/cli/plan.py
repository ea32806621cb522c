"""Print what a table, a figure or everything takes: jobs, GPU-hours, disk, what is missing, what sharing saves.

  piti plan                             everything
  piti plan table3a --gpu "H100 bf16"   one table, on other GPUs

Reads the configuration and the results folder; makes nothing. Hours are those of one device: operations counted on the
real networks, over the rate of the finished trainings in the results folder, else over an assumed one.
"""

from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from piti.card import unknown_key
from piti.cards import DownloadCard
from piti.config import Config
from piti.files import InputError
from piti.plan import Artefact, report, resolve
from piti.plan.cost import RATES, Costs
from piti.plan.disk import folders

# The order of the journey.
LEGS = ("downloads", "weights", "data", "shards", "sketches", "models", "sampled", "upsampled", "generated", "features")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("target", nargs="?", metavar="TABLE", help="a table or figure; everything if not given")
    parser.add_argument("--gpu", choices=RATES, help="its assumed rate, not what was measured here")


def run(arguments: Namespace, config: Config) -> None:
    plan, tables, figures = resolve(config)
    page = report(plan, tables, figures)
    targets = tables | figures
    if arguments.target is not None:
        if arguments.target not in targets:
            raise InputError(unknown_key(arguments.target, targets, "plan").replace("key", "name"))
        targets = {arguments.target: targets[arguments.target]}
        tables = {name: table for name, table in tables.items() if name in targets}
    costs = Costs(plan, arguments.gpu)
    ends = [target.path for target in targets.values()] + ([] if arguments.target else [page.path])
    wanted, todo = costs.chain(ends), costs.todo(ends)
    print(f"{config.preset} preset, {arguments.target or 'everything'}; results in {config.results}")
    parts = [jobs(wanted, todo), hours(costs, targets, tables, ends), disk(costs, wanted), missing(tables, todo)]
    for part in parts:
        print("", *part, sep="\n")


def jobs(wanted: dict[str, Artefact], todo: dict[str, Artefact]) -> Iterator[str]:
    """How many artefacts each rule makes."""
    every, left = (Counter(artefact.step for artefact in some.values()) for some in (wanted, todo))
    yield f"{'rule':<18}{'jobs':>8}{'to do':>8}"
    for rule, number in every.items():
        yield f"{rule:<18}{number:>8,}{left[rule]:>8,}"
    yield f"{'sum':<18}{every.total():>8,}{left.total():>8,}"


def hours(costs: Costs, targets: dict[str, Artefact], tables: dict[str, Artefact], ends: list[str]) -> Iterator[str]:
    """GPU-hours of each target; what they share is counted once in the sum."""
    yield f"{'hours':<18}{'all':>10}{'to do':>10}"
    for name, target in targets.items():
        chain, left = costs.chain([target.path]), costs.todo([target.path])
        yield f"{name:<18}{short(costs.total(chain)):>10}{short(costs.left(left)):>10}"
    wanted = costs.chain(ends)
    total = costs.total(wanted)
    yield f"{'shared, once':<18}{short(total):>10}{short(costs.left(costs.todo(ends))):>10}"
    if total and tables:
        unshared, release = costs.unshared(tables.values()), costs.unshared(tables.values(), release=True)
        yield f"{'unshared':<18}{short(unshared):>10}  each model of each table trained for that alone"
        yield f"{'as the release':<18}{short(release):>10}  and gradients of frozen weights, the encoder at every step"
        yield f"{'ours / theirs':<18}{total / release:>10.2f}"
    yield f"at {costs.rate / 1e12:.2g} Tflop/s ({costs.source})"
    if costs.uncounted:
        names = ", ".join(costs.uncounted)
        yield f"without {names}: networks that nobody has counted (python -m piti.count)"


def disk(costs: Costs, wanted: dict[str, Artefact]) -> Iterator[str]:
    """Gigabytes by folder."""
    found = folders(costs, wanted.values())
    yield f"{'GB, estimated':<18}{'all':>10}{'there':>10}"
    for leg in (leg for leg in LEGS if leg in found):
        unknown = f"  and {found[leg].unknown} of unknown size" if found[leg].unknown else ""
        yield f"{leg:<18}{found[leg].expected / 1e9:>10,.2f}{found[leg].there / 1e9:>10,.2f}{unknown}"
    expected, there = (sum(getattr(folder, part) for folder in found.values()) for part in ("expected", "there"))
    yield f"{'sum':<18}{expected / 1e9:>10,.2f}{there / 1e9:>10,.2f}"


def missing(tables: dict[str, Artefact], todo: dict[str, Artefact]) -> Iterator[str]:
    """What has to be found before, and what cannot be made."""
    fetched = [a.card for a in todo.values() if isinstance(a.card, DownloadCard)]
    if fetched:
        unknown = sum(card.bytes is None for card in fetched)
        size = sum(card.bytes or 0 for card in fetched) / 1e9
        yield f"to download: {len(fetched)} files, {size:,.1f} GB" + (f" and {unknown} of unknown size" * bool(unknown))
    given = {path for artefact in todo.values() for path in artefact.given.values()}
    for path in sorted(path for path in given if not Path(path).exists()):
        yield f"missing: {path}, which the configuration names"
    for name, table in tables.items():
        reasons = Counter(cell.reason for cell in getattr(table.card, "cells", ()) if cell.reason not in ("", "-"))
        for reason, number in reasons.items():
            yield f"missing: {number} cells of {name}: {reason}"
    if not list(Path("/dev").glob("nvidia[0-9]*")):
        yield "missing: a GPU on this machine"


def short(number: float) -> str:
    """Three digits of what is small, all of what is large."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
