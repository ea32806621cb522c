"""torchrun keeps a training's exit code, and lets it save after SIGTERM."""

import os
import signal
import subprocess
import sys

import pytest
from tests.unit.train import tiny

from piti.cards.base import dumps
from piti.store.lease import exclusive

SAVES = """
import signal, sys, time
def leave(*_):
    time.sleep(0.5)
    print("saved\\n", end="", flush=True)
    sys.exit(75)
signal.signal(signal.SIGTERM, leave)
print("up\\n", end="", flush=True)
time.sleep(60)
"""


HELD = """
import runpy, sys
from piti.run import command
command.PATIENCE = 0
sys.argv[1:] = {}
runpy.run_module("piti.steps.train", run_name="__main__")
"""


def start(tmp_path, script: str) -> subprocess.Popen:
    """The script as two processes."""
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, "-m", "piti.run.torchrun", "--standalone", "--nproc-per-node=2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, str(tmp_path / "script.py")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def test_after_sigterm_the_processes_save_and_75_comes_out(tmp_path):
    process = start(tmp_path, SAVES)
    assert [process.stdout.readline() for _ in range(2)] == ["up\n"] * 2
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert printed == "saved\n" * 2
    assert process.returncode == 75


@pytest.mark.parametrize("whose", ["weights", "checkpoint"])
def test_a_folder_that_another_job_has_ends_all_processes_with_75(tmp_path, shards, whose):
    card = tiny.card(steps=2)
    output = tiny.output(tmp_path, card)
    arguments = ["--card", dumps(card), "--output", output, "--gpus", 0]
    for key, path in zip(("images", "conditions"), tiny.inputs(card, shards), strict=True):
        arguments += [f"--{key}", path]
    with exclusive(output.parent if whose == "weights" else card.checkpoint(output)):
        assert start(tmp_path, HELD.format(list(map(str, arguments)))).wait(timeout=120) == 75
    assert not output.exists()
