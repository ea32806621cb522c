"""Remarks on a plan, for a person to read before anything is trained."""

from collections import defaultdict
from collections.abc import Iterator

from piti.cards import TrainCard
from piti.plan.core import Plan

MOST = {False: 0.5, True: 0.9}  # fraction of the start, random or trained, that EMA weights should not keep


def stale_ema(plan: Plan) -> Iterator[str]:
    """Rows whose EMA weights have hardly left their start: these weights are what is sampled from."""
    found = defaultdict(list)
    for artefact in plan.artefacts.values():
        card = artefact.card
        if isinstance(card, TrainCard) and (rate := card.training.ema_rate):
            left, steps = rate**card.training.steps, card.training.steps
            if left > MOST[bool(card.init)]:
                start = "what it starts from" if card.init else "its random start"
                what = f"ema_rate {rate:g} over {steps} steps: {left:.0%} of the EMA weights is {start}"
                found[what].append(artefact.name)
    for what, names in found.items():
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield f"{names[0]}{others}: {what}"
