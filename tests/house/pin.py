"""Pin the digests of the paper preset: `python -m tests.house.pin`, when new artefacts are what is wanted."""

import json

from piti.config import load
from piti.plan import Plan, resolve
from piti.store.files import write_json
from tests.house import ROOT

FILE = ROOT / "tests" / "house" / "paper_digests.json"


SHOWN = ("tables", "metric_checks", "tallies", "figures", "studies", "claims", "reports")  # made again in seconds


def costly(plan: Plan) -> dict[str, list[str]]:
    """Everything in a plan that takes long to make, "leg/name" -> digests."""
    found = {}
    for artefact in plan.artefacts.values():
        if artefact.leg not in SHOWN:
            found.setdefault(f"{artefact.leg}/{artefact.name}", []).append(artefact.digest)
    return {name: sorted(found[name]) for name in sorted(found)}


def digests() -> dict[str, list[str]]:
    """What the paper preset makes, as shipped."""
    return costly(resolve(load({}, ROOT / "config"))[0])


def pinned() -> dict[str, list[str]]:
    return json.loads(FILE.read_text())


if __name__ == "__main__":
    write_json(FILE, digests())
