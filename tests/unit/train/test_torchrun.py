"""torchrun keeps a training's exit code, and lets it save after SIGTERM."""

import os
import signal
import subprocess
import sys

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


def test_exit_code_75_survives(tmp_path):
    assert start(tmp_path, "import sys; sys.exit(75)").wait(timeout=60) == 75


def test_after_sigterm_the_processes_save_and_75_comes_out(tmp_path):
    process = start(tmp_path, SAVES)
    assert [process.stdout.readline() for _ in range(2)] == ["up\n"] * 2
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert printed == "saved\n" * 2
    assert process.returncode == 75
