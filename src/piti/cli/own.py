"""The user's own folders that a plan packs: which, and what lies there. Each is looked through once, whoever asks."""

from collections.abc import Iterator
from pathlib import Path

from piti.cards import PackCard
from piti.datasets.layouts import Found
from piti.plan import Plan
from piti.store.files import InputError


def folders(plan: Plan, kinds: bool = False) -> Iterator[tuple[PackCard, Path]]:
    """The splits of folders of the user's own, each once, or once for each kind of what is read from it."""
    seen = set()
    for artefact in plan.artefacts.values():
        if isinstance(card := artefact.card, PackCard) and "root" in artefact.given:
            key = (artefact.given["root"], card.split, card.kind if kinds else "")
            if key not in seen:
                seen.add(key)
                yield card, Path(artefact.given["root"])


def survey(plan: Plan, card: PackCard, root: str | Path) -> Found:
    """What is there for a card, as packing will find it. Raises InputError for what packing would refuse."""
    from piti.data import packing

    key = ("survey", card.dataset, card.split)
    if key not in plan.answers:
        try:
            plan.answers[key] = packing.survey(card, root)
        except (InputError, OSError) as error:
            plan.answers[key] = error
    if isinstance(plan.answers[key], Exception):
        raise plan.answers[key]
    return plan.answers[key]
