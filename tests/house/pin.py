"""Pin the digests of the paper preset: `python -m tests.house.pin`, when new artefacts are what is wanted."""

import json

from piti.config import load
from piti.files import write_json
from piti.plan import Plan
from tests.house import ROOT

FILE = ROOT / "tests" / "house" / "paper_digests.json"


def digests() -> dict[str, list[str]]:
    """Everything that costs something, "leg/name" -> digests; tables and figures are made in seconds and left out."""
    found = {}
    for artefact in Plan(load({}, ROOT / "config")).artefacts.values():
        if artefact.step not in ("make_table", "make_figure"):
            found.setdefault(f"{artefact.leg}/{artefact.name}", []).append(artefact.digest)
    return {name: sorted(found[name]) for name in sorted(found)}


def pinned() -> dict[str, list[str]]:
    return json.loads(FILE.read_text())


if __name__ == "__main__":
    write_json(FILE, digests())
