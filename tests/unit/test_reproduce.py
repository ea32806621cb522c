"""`make reproduce` says how long it will take; that it finishes what was killed is tests/flow/test_killed.py's."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house import ROOT

from piti.cli import reproduce
from piti.config import load
from piti.plan import resolve
from piti.plan.cost import Costs
from piti.store.files import InputError


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


def test_a_snakemake_that_works_in_this_folder_keeps_its_locks(tmp_path, monkeypatch):
    (tmp_path / "snakemake").write_text("print(flush=True); import time; time.sleep(60)")
    (tmp_path / "other").mkdir()
    with subprocess.Popen([sys.executable, tmp_path / "snakemake"], cwd=tmp_path, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        monkeypatch.chdir(tmp_path)
        with pytest.raises(InputError, match=f"found Snakemake at work here, process {process.pid}, expected none"):
            reproduce.refuse_another_snakemake()
        monkeypatch.chdir(tmp_path / "other")
        reproduce.refuse_another_snakemake()
        process.kill()


def test_who_ends_it_ends_snakemake_too():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        with reproduce.ended_with_us(process):
            os.kill(os.getpid(), signal.SIGTERM)
            assert process.wait(timeout=30) == -signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
