"""`make reproduce` says how long it will take; that it finishes what was killed is tests/flow/test_killed.py's."""

import subprocess
from pathlib import Path

from tests.house import ROOT

from piti.cli import reproduce
from piti.config import load
from piti.plan import resolve
from piti.plan.cost import Costs


class Process:
    """A run that ends on its third look, with code 7."""

    looks = 0

    def wait(self, timeout: float) -> int:
        self.looks += 1
        if self.looks < 3:
            raise subprocess.TimeoutExpired("snakemake", timeout)
        return 7


def test_time_left_follows_the_pace_so_far(capsys, monkeypatch):
    todo = iter([range(100), range(100), range(50)])  # artefacts at the start, and after each look
    clock = iter([0.0, 1200.0])
    monkeypatch.setattr(Costs, "todo", lambda self, ends: next(todo))
    monkeypatch.setattr(Costs, "left", lambda self, artefacts: len(artefacts) ** 2 / 1800)  # hours
    monkeypatch.setattr(reproduce.time, "monotonic", lambda: next(clock))
    plan, tables, _ = resolve(load({"preset": "smoke"}, Path(ROOT) / "config"))
    assert reproduce.watch(Process(), Costs(plan, "A100-80"), tables.values()) == 7
    # 3600 / 1800 * 100**2 + 2 * 100 = 20,200 seconds of work, of which 5,100 are left
    assert capsys.readouterr().out == "75% of this run's work done, about 7 min left\n"
