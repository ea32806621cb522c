"""A part of `make faults`: the same injections, fewer of them."""

import os
import re
import subprocess
import sys

from tests.house import ROOT

COUNT = 30


def test_faults_leave_nothing_lost_and_nothing_wrong():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.faults", "--count", str(COUNT), "--jobs", "2"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{COUNT} faults injected, 0 wrong, \d+ s$", done.stdout.splitlines()[-1])
