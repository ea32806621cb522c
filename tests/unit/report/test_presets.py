"""The report of every preset can be made, by its own steps and from their own cards, before any number is there."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from piti.config import load
from piti.plan import Plan, report, resolve
from piti.plan.steps import STEPS

CONFIG = Path(__file__).parents[3] / "config"


def in_order(path: str, plan: Plan) -> Iterator[str]:
    """What it is made from, first things first, and itself."""
    for needed in (needed for paths in plan.by_path[path].inputs.values() for needed in paths):
        yield from in_order(needed, plan)
    yield path


@pytest.mark.parametrize("preset", ["mini", "claims", "paper"])
def test_a_report_of_nothing(preset, tmp_path, monkeypatch):
    plan, *shown = resolve(load({"preset": preset, "missing": "blank", "results": str(tmp_path)}, CONFIG))
    page = report(plan, *shown)
    for path in dict.fromkeys(in_order(page.path, plan)):
        artefact = plan.by_path[path]
        monkeypatch.setattr(sys, "argv", [*artefact.command({})[1:], "--output", path])
        STEPS[artefact.step].main()
    assert "not run" in Path(page.path).read_text()
