"""A GPU belongs to one job at a time: names of GPUs, and jobs that share pretended ones."""

import os
import signal
import subprocess
import sys
import time

import pytest

from piti.run import gpus
from piti.run.gpus import parts, visible

LISTED = """GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-aaaa-1)
GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-bbbb-2)
  MIG 3g.40gb     Device  0: (UUID: MIG-cccc-3)
  MIG 3g.40gb     Device  1: (UUID: MIG-dddd-4)
"""


def test_a_divided_gpu_is_its_parts():
    assert parts(LISTED) == ["GPU-aaaa-1", "MIG-cccc-3", "MIG-dddd-4"]
    assert parts("") == parts("No devices were found\n") == []


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (None, ["GPU-a", "GPU-b"]),
        ("1", ["GPU-b"]),
        ("1,0", ["GPU-b", "GPU-a"]),
        (" GPU-b ,MIG-GPU-c/1/0", ["GPU-b", "MIG-GPU-c/1/0"]),
        ("0,-1,1", ["GPU-a"]),
        ("7", ["7"]),
        ("GPU-b1,GPU-a", ["GPU-b1", "GPU-a"]),
        ("0,0,GPU-a", ["GPU-a"]),  # a job of two would wait for ever
        ("", []),
        ("NoDevFiles", []),
    ],
)
def test_what_cuda_visible_devices_names(chosen, names, monkeypatch):
    """By one name, however it is said: two jobs that say it differently mean the same GPU."""
    monkeypatch.setattr(gpus, "present", lambda: ["GPU-a", "GPU-b"])
    assert visible({} if chosen is None else {"CUDA_VISIBLE_DEVICES": chosen}) == names


def test_the_beginning_of_a_uuid_names_the_same_gpu(monkeypatch):
    """As CUDA takes it. By another name two jobs would share it."""
    monkeypatch.setattr(gpus, "present", lambda: ["GPU-aaaa-1", "GPU-bbbb-2"])
    assert visible({"CUDA_VISIBLE_DEVICES": "GPU-bb,GPU-aaaa-1"}) == ["GPU-bbbb-2", "GPU-aaaa-1"]


SEVERAL = """
import os, sys
from piti.run.gpus import take, visible
os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(take(int(sys.argv[1]), visible(os.environ)))
os.execv(sys.argv[2], sys.argv[2:])
"""


def job(number: int, names: str, script: str, share: int = 1) -> subprocess.Popen:
    """Python code as a job with so many of these GPUs; several without the launcher's torchrun, which takes seconds."""
    launch = ["-m", "piti.run.launch", f"--gpus={number}", f"--jobs-per-gpu={share}"]
    before = ["-c", SEVERAL, str(number)] if number > 1 else launch
    line = [sys.executable, *before, sys.executable, "-c", script, "made.json"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
    environment["CUDA_VISIBLE_DEVICES"] = names
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def two() -> str:
    """Two pretended GPUs that no other test has."""
    return f"MIG-{os.getpid()}-0,MIG-{os.getpid()}-1"


SAYS = "import os; print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True)"
STAYS = f"{SAYS}; import time; time.sleep(60)"
ALONE = """
import os
from pathlib import Path
for name in os.environ["CUDA_VISIBLE_DEVICES"].split(","):
    mark = Path({!r}, name)
    mark.touch(exist_ok=False)  # fails where another job is on this GPU
import time; time.sleep(0.2)
for name in os.environ["CUDA_VISIBLE_DEVICES"].split(","):
    Path({!r}, name).unlink()
"""


def test_six_jobs_on_two_gpus_are_never_two_on_one(two, tmp_path):
    script = ALONE.format(str(tmp_path), str(tmp_path))
    jobs = [job(number, two, script) for number in (1, 1, 2, 1, 1, 1)]
    ended = [(*one.communicate(timeout=60), one.returncode) for one in jobs]
    assert [code for *_, code in ended] == [0] * 6, ended


def test_a_job_that_waits_says_so_once_and_for_whom(two):
    first = job(2, two, STAYS)
    assert first.stdout.readline() == f"{two}\n"
    second = job(1, two, SAYS)
    waits = second.stderr.readline()
    name = two.split(",")[0]
    assert "waits for 1 of the GPUs" in waits and f"process {first.pid} has {name} (made.json)" in waits
    time.sleep(1.5)
    assert second.poll() is None
    first.send_signal(signal.SIGKILL)  # frees its GPUs without a word
    printed, more = second.communicate(timeout=30)
    assert printed == f"{name}\n" and more == ""
    first.communicate()


def test_a_child_keeps_the_gpu_of_a_job_that_is_gone(two):
    """Data loaders and the like are forks of the job: their GPU is not free before they are gone."""
    first = job(2, two, f"{SAYS}; import os, time; os.fork() or time.sleep(2)")
    first.stdout.readline()
    first.wait(timeout=30)
    assert "waits for" in job(1, two, SAYS).communicate(timeout=30)[1]


def test_fewer_gpus_than_asked_are_left_to_the_step(two):
    """It says what it found (piti.devices); nobody waits for what there is not."""
    assert job(4, two, SAYS).communicate(timeout=30)[0] == f"{two}\n"


def test_a_job_without_gpus_takes_none(two):
    first = job(2, two, STAYS)
    first.stdout.readline()
    assert job(0, two, SAYS).communicate(timeout=30)[0] == f"{two}\n"
    first.kill()
    first.communicate()


TWO = """
import os, time
from pathlib import Path
mark = Path({!r}, f"{{os.environ['CUDA_VISIBLE_DEVICES']}}-{{os.getpid()}}")
mark.touch()
time.sleep(0.3)
print(len(list(mark.parent.glob(mark.name.rsplit("-", 1)[0] + "-*"))))
mark.unlink()
"""


def test_as_many_jobs_as_are_said_share_a_gpu(two, tmp_path):
    """Eight on two GPUs, two on each: none sees a third, and some see a second."""
    jobs = [job(1, two, TWO.format(str(tmp_path)), share=2) for _ in range(8)]
    seen = [int(one.communicate(timeout=60)[0]) for one in jobs]
    assert max(seen) == 2


def test_who_wants_a_gpu_alone_waits_for_those_who_share_it_and_they_for_him(two):
    """Whatever their own configurations say: another Snakemake may run beside this one."""
    name = two.split(",")[0]
    sharing = [job(1, name, STAYS, share=4) for _ in range(2)]
    assert [one.stdout.readline() for one in sharing] == [f"{name}\n"] * 2
    alone = job(1, name, STAYS)
    waits = alone.stderr.readline()
    assert all(f"process {one.pid} has {name}" in waits for one in sharing) and waits.count("has") == 2
    for one in sharing:
        one.kill()
        one.communicate()
    assert alone.stdout.readline() == f"{name}\n"
    assert "waits for" in (third := job(1, name, SAYS, share=4)).stderr.readline()
    alone.kill()
    alone.communicate()
    assert third.communicate(timeout=30)[0] == f"{name}\n"
