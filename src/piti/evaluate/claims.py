"""Does an ordering that the paper states hold here? Decided by paired differences of scores."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from piti.cards import ClaimsCard, Ordering
from piti.evaluate.intervals import over_trainings
from piti.evaluate.score import KEYS, difference
from piti.store.chain import not_converged
from piti.store.files import InputError, failure, read_json, write_json

HELD, NOT_HELD, UNDECIDED, UNCHECKED = "held", "not held", "undecided", "cannot be checked"
NO_CARDS = "the cards of its trainings are not here"
NOT_RUN = "not run"  # by this configuration: of the claim as a whole, the orderings that were run decide


def check_claims(card: ClaimsCard, output: Path, better: Sequence[Path], than: Sequence[Path]) -> None:
    """Write every claim with its verdict. The score files come ordering by ordering, one a seed on either side."""
    write_json(output, {"claims": verdicts(card, better, than)})


def verdicts(card: ClaimsCard, better: Sequence[Path], than: Sequence[Path]) -> list[dict]:
    """Every claim: name, text, verdict, and its orderings as `check` finds them. The files come as above."""
    first, second = iter(better), iter(than)
    checked = []
    for claim in card.claims:
        found = [check(ordering, first, second) for ordering in claim.orderings]
        if card.no_verdict:
            undecided = {"verdict": UNDECIDED, "remark": card.no_verdict}
            found = [one | undecided if "value" in one else one for one in found]
        verdict = conclude([one["verdict"] for one in found])
        checked.append({"name": claim.name, "text": claim.text, "verdict": verdict, "orderings": found})
    return checked


def check(ordering: Ordering, first: Iterator[Path], second: Iterator[Path]) -> dict:
    """One ordering: verdict, and value and 95 % interval of the difference better - than, or the reason for none.

    Nobody has lost whose training still improved at its last step, if the other does not share it: that is undecided,
    with a remark. A claim about trainings of as many steps is decided all the same, and the remark says so.
    """
    pairs = [(next(first), next(second)) for _ in ordering.better_scores]
    found = {"better": ordering.better, "than": ordering.than, "task": ordering.task, "measure": ordering.measure}
    failed = [reason for pair in pairs for file in pair if (reason := failure(file))]
    if ordering.reason:
        return found | {"verdict": NOT_RUN, "reason": ordering.reason}
    if failed:
        return found | {"verdict": UNCHECKED, "reason": f"failed: {failed[0]}"}
    try:
        scores = [(read_json(a, *KEYS), read_json(b, *KEYS)) for a, b in pairs]
        differences = [difference(a, b) for a, b in scores]
    except InputError as error:
        return found | {"verdict": UNCHECKED, "reason": str(error)}
    value, (low, high) = statistics.mean(d.value for d in differences), over_trainings(differences)
    below, above = (NOT_HELD, HELD) if scores[0][0]["higher_is_better"] else (HELD, NOT_HELD)
    verdict = below if high < 0 else above if low > 0 else UNDECIDED
    remark = ""
    if (loser := {HELD: 1, NOT_HELD: 0}.get(verdict)) is not None:
        improving = [not_converged(files, ordering.by_rule) for files in zip(*pairs, strict=True)]
        own = [link for path, link in improving[loser].items() if path not in improving[1 - loser]]
        if own:  # trained longer it might win
            known = "has not converged" if any(link.step for link in own) else "may not have converged: " + NO_CARDS
            remark = f"{(ordering.better, ordering.than)[loser]} {known}"
            if ordering.equal_steps:
                remark = f"after equal steps; {remark}"
            else:
                verdict = UNDECIDED
    found |= {"verdict": verdict, "reason": "", "remark": remark}
    return found | {"value": value, "interval": [low, high], "seeds": len(pairs), "n": scores[0][0]["n"]}


def conclude(verdicts: Sequence[str]) -> str:
    """A claim is held if all its orderings that were run are, and not held as soon as one is not."""
    return next(verdict for verdict in (NOT_HELD, UNCHECKED, UNDECIDED, HELD, NOT_RUN) if verdict in verdicts)
