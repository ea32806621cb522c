"""Check the configuration and the user's own data before anything runs.

  piti check            names, counts, splits: seconds
  piti check --read     every file too, as packing will read it; all bad ones are named

When Snakemake starts it says the same, but reads no files. Exit code 2 means that something would be refused.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from piti.cards import PackCard
from piti.config import Config
from piti.plan import Plan, resolve
from piti.plan.remarks import stale_ema
from piti.store.files import InputError, refuse


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--read", action="store_true", help="read every file")


def run(arguments: Namespace, config: Config) -> None:
    plan, *_ = resolve(config)
    for line in remarks(plan):
        print(line)
    refuse(list(unreadable(plan, arguments.read)), "data sets")


def said_at_start(plan: Plan) -> None:
    """Print remarks, and what packing will refuse later."""
    for line in (*remarks(plan), *unreadable(plan, read=False)):
        print(f"note: {line}", file=sys.stderr)


def remarks(plan: Plan) -> Iterator[str]:
    """What differs from the configuration, or looks like a mistake in it."""
    from piti.data import packing
    from piti.datasets import layouts

    yield from stale_ema(plan)
    for card, root in own(plan):
        try:
            found = packing.survey(card, root)
        except InputError:
            continue  # among what is unreadable
        count, expected, least = len(found.records), card.expected, plan.config.min_images
        yield from found.remarks
        yield from filter(None, [layouts.check_count(count, expected, f"{root} ({card.split})")])
        if card.split == "test" and count < least:
            yield f"{root} (test): found {count} photographs: every score will be refused below {least} (min_images)"


def unreadable(plan: Plan, read: bool) -> Iterator[str]:
    """What packing would refuse; read: each file is read as well."""
    from piti.data import packing

    for card, root in own(plan, kinds=read):
        try:
            found = packing.survey(card, root)
        except InputError as error:
            yield str(error)
            continue
        yield from packing.faults(card, found.records) if read else ()


def own(plan: Plan, kinds: bool = False) -> Iterator[tuple[PackCard, Path]]:
    """The splits of folders of the user's own, each once, or once for each kind of what is read from it."""
    seen = set()
    for artefact in plan.artefacts.values():
        if isinstance(card := artefact.card, PackCard) and "root" in artefact.given:
            key = (artefact.given["root"], card.split, card.kind if kinds else "")
            if key not in seen:
                seen.add(key)
                yield card, Path(artefact.given["root"])
