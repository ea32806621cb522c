"""Check the configuration and the user's own data before anything runs.

  piti check            names, counts, splits: seconds
  piti check --read     every file too, as packing will read it; all bad ones are named

When Snakemake starts it says the same, but reads no files. Exit code 2 means that something would be refused.
"""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path

from piti.cli import own
from piti.config import Config
from piti.plan import Artefact, Plan, resolve
from piti.plan.cost import Costs
from piti.plan.disk import file_systems
from piti.plan.gpu import DEFAULT
from piti.plan.remarks import stale_ema
from piti.store.files import InputError, refuse


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--read", action="store_true", help="read every file")


def run(arguments: Namespace, config: Config) -> None:
    plan, *_ = resolve(config)
    for line in (*remarks(plan), *(damaged(plan) if arguments.read else ()), *full(Costs(plan, DEFAULT))):
        print(line)
    refuse(unreadable(plan, arguments.read), "configuration")


def said_at_start(plan: Plan, costs: Costs) -> None:
    """Print remarks, what packing will refuse later, and which disk will be full."""
    for line in (*remarks(plan), *unreadable(plan, read=False), *full(costs)):
        print(f"note: {line}", file=sys.stderr)


def remarks(plan: Plan) -> Iterator[str]:
    """What differs from the configuration, or looks like a mistake in it."""
    from piti.datasets import layouts

    yield from stale_ema(plan)
    used = {artefact.given.get("root") for artefact in plan.artefacts.values()}
    for name, dataset in plan.config.datasets.items():
        if dataset.path and dataset.path not in used:
            yield f"datasets.{name}.path: {dataset.path}: not looked at, for nothing that is asked for needs it"
    for card, root in own.folders(plan):
        try:
            found = own.survey(plan, card, root)
        except InputError:
            continue  # among what is unreadable
        count, expected, least = len(found.records), card.expected, plan.config.min_images
        yield from found.remarks
        yield from filter(None, [layouts.check_count(count, expected, f"{root} ({card.split})")])
        if card.split == "test" and count < least:
            yield f"{root} (test): found {count} photographs: every score will be refused below {least} (min_images)"


def damaged(plan: Plan) -> Iterator[str]:
    """The photographs that packing will read, though libjpeg finds them damaged."""
    from piti.data import packing

    for card, root in own.folders(plan, kinds=True):
        if card.kind != "images":
            continue
        try:
            found = own.survey(plan, card, root)
        except InputError:
            continue  # among what is unreadable
        yield from packing.damaged([record.image for record in found.records], f"{root} ({card.split})")


def full(costs: Costs) -> Iterator[str]:
    """The file systems that have too little room for what is to be made yet."""
    used = {path for artefact in costs.by_path.values() for paths in artefact.inputs.values() for path in paths}
    todo = costs.todo(path for path in costs.by_path if path not in used)
    for found in file_systems(costs, (), todo.values()):
        yield from filter(None, [found.short and f"the disk will be full: {found.short}"])


def too_long(costs: Costs, jobs: Iterable[Artefact], devices: int) -> str:
    """A line where these jobs take this machine, with so many GPUs or none, longer than `machine.most_days`."""
    hours, most = costs.left({artefact.path: artefact for artefact in jobs}), costs.machine.most_days
    if not most or (days := hours / 24 / max(devices, 1)) <= most:
        return ""
    return (
        f"found about {days:,.0f} days of work for this machine (GPUs: {devices}; {hours:,.0f} h of {costs.source}), "
        f"expected at most {most:g} days. What takes them: `piti plan`; how a "
        "cluster does it: docs/cluster.md. To begin all the same: `--config machine='{most_days: 0}'`"
    )


def unreadable(plan: Plan, read: bool) -> list[str]:
    """What packing would refuse, read: each file is read as well; and other paths that lead nowhere. Each once, though
    both splits and all kinds of what is read may say it.
    """
    from piti.data import packing

    said = [*absent(plan)]
    for card, root in own.folders(plan, kinds=read):
        try:
            found = own.survey(plan, card, root)
        except InputError as error:
            said.append(str(error))
            continue
        said += packing.faults(card, found.records) if read else ()
    return list(dict.fromkeys(said))


def absent(plan: Plan) -> Iterator[str]:
    """Pictures, votes, and weights that somebody needs and nobody has converted, where the path leads nowhere."""
    named = {
        f"methods.{name}.pictures.{task}": folder
        for name, method in plan.config.methods.items()
        for task, folder in method.pictures.items()
    }
    for artefact in plan.artefacts.values():
        if artefact.step == "convert_weights" and artefact.given and not Path(artefact.path).exists():
            named[f"weights.{artefact.name}.path"] = artefact.given["source"]
    if plan.config.study and plan.config.study.votes:
        named["study.votes"] = plan.config.study.votes
    for key, path in named.items():
        if not os.path.exists(path):
            yield f"{key}: {path}: no such file or folder"
