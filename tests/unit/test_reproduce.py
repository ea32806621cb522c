"""`make reproduce` says how long it will take; that it finishes what was killed is tests/flow/test_killed.py's."""

import subprocess
from pathlib import Path

from tests.house import ROOT

from piti import reproduce
from piti.config import load
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
    left = iter([8.0, 8.0, 6.0])  # hours of whatever device: at the start, after each look
    clock = iter([0.0, 1200.0])
    monkeypatch.setattr(Costs, "left", lambda self, artefacts: next(left))
    monkeypatch.setattr(reproduce.time, "monotonic", lambda: next(clock))
    config = load({"preset": "smoke"}, Path(ROOT) / "config")
    assert reproduce.watch(Process(), config) == 7
    assert capsys.readouterr().out == "25% of the run's operations done, about 60 min left\n"
