"""Starting a training's processes: which command, and what a SLURM job does when the training asks to go on."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import snakemake_executor_plugin_piti_slurm as plugin
from piti.run.launch import QUEUED_AGAIN, insist, processes, sharing

TRAIN = ["python", "-m", "piti.steps.train", "--card", "{}"]


def test_one_process_is_the_command_itself():
    assert processes(TRAIN, nodes=1, gpus=0, job=None) == processes(TRAIN, nodes=1, gpus=1, job="7") == TRAIN


def test_several_gpus_of_a_node_are_processes_of_one_torchrun():
    command = processes(TRAIN, nodes=1, gpus=4, job=None)
    assert command[:3] == ["python", "-m", "piti.run.torchrun"]
    assert {"--nnodes=1", "--nproc-per-node=4", "--standalone"} <= set(command)
    assert command[-4:] == TRAIN[1:]


def test_several_nodes_meet_at_this_one_under_the_jobs_name():
    command = processes(TRAIN, nodes=2, gpus=4, job="123456")
    assert {"--nnodes=2", "--nproc-per-node=4", "--rdzv-id=123456", "--rdzv-backend=c10d"} <= set(command)
    (meeting,) = (word for word in command if word.startswith("--rdzv-endpoint="))
    assert 1024 < int(meeting.rsplit(":", 1)[1]) < 65536


@pytest.mark.parametrize(
    ("batch", "nodes", "gpus", "used"),
    [
        (128, 1, 4, (1, 4)),
        (1, 1, 4, (1, 1)),
        (4, 1, 8, (1, 4)),
        (4, 2, 4, (2, 2)),
        (6, 2, 4, (2, 3)),
        (3, 2, 4, (1, 3)),
        (32, 2, 0, (2, 0)),
        (0, 2, 4, (2, 4)),
        (128, 1, 0, (1, 0)),
    ],
)
def test_no_more_processes_than_share_the_batch_evenly(batch, nodes, gpus, used, capsys):
    """As many as can; the rest is named. Batch 0: nobody said. GPUs 0: a process a node."""
    assert sharing(batch, nodes, gpus) == used
    fewer = used[0] * max(used[1], 1) < nodes * max(gpus, 1)
    assert ("expected a divisor of the batch" in capsys.readouterr().err) == fewer


@pytest.fixture
def slurm(tmp_path):
    """A folder with an srun that runs what follows its own options, and a scontrol that notes down what it is asked."""

    def tool(name: str, text: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)

    tool("srun", f'echo "$@" > {tmp_path}/step; while [ "${{1#--}}" != "$1" ]; do shift; done; exec "$@"')
    tool("scontrol", f'echo "$@" > {tmp_path}/asked; echo refused >&2; exit 1')
    tool("squeue", "echo RUNNING")
    tool("accepting", f'echo "$@" > {tmp_path}/asked')
    return tmp_path


def launch(folder: Path, *options: str, script: str, job: bool = True, **more: str) -> subprocess.Popen:
    """piti.run.launch around a Python script, with the tools of `folder`. more: of the environment."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
    environment |= {"PATH": f"{folder}:{os.environ['PATH']}"} | (
        {"SLURM_JOB_ID": "42", "SLURM_NNODES": "1"} | more if job else {}
    )
    command = [sys.executable, "-m", "piti.run.launch", *options, sys.executable, "-c", script]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


SAYS = "import sys; print(sys.argv[1:]); sys.exit(75)"


@pytest.mark.parametrize(("options", "job"), [(["--runtime=60"], False), ([], True)])
def test_no_job_of_ours_no_slurm(slurm, options, job):
    """Without a job, or with one that only holds a local Snakemake (nothing says how long it may take)."""
    process = launch(slurm, *options, script=SAYS, job=job)
    assert process.communicate(timeout=60)[0] == "[]\n"
    assert process.returncode == 75
    assert not (slurm / "step").exists() and not (slurm / "asked").exists()


def test_a_job_runs_its_training_in_a_step_of_its_own_and_leaves_in_time(slurm):
    process = launch(slurm, "--runtime=60", "--margin=5", script="import sys; print(sys.argv[1:])")
    assert process.communicate(timeout=60)[0] == "['--minutes', '55']\n"
    assert process.returncode == 0
    assert "--overlap" in (slurm / "step").read_text()
    assert not (slurm / "asked").exists()


@pytest.mark.parametrize(("around", "cpus"), [({}, "4"), ({"SLURM_CPUS_PER_TASK": "6"}, "6")])
def test_its_step_has_the_cpus_of_the_job(slurm, around, cpus):
    """A task of an array runs in no step that would say them."""
    launch(slurm, "--runtime=60", "--cpus=4", script="", **around).communicate(timeout=60)
    assert f"--cpus-per-task={cpus} " in (slurm / "step").read_text()


def test_another_schedulers_job_leaves_in_time_too(slurm):
    """What goes on then, and when, is Snakemake's to say: nobody asks SLURM."""
    process = launch(slurm, "--runtime=60", "--margin=5", script=SAYS, job=False)
    assert process.communicate(timeout=60)[0] == "['--minutes', '55']\n"
    assert process.returncode == 75
    assert not (slurm / "step").exists() and not (slurm / "asked").exists()


def test_a_step_that_cannot_leave_in_time_is_not_told_to(slurm):
    """Only a training goes on from where it was: without a margin nobody says `--minutes`. It may still come back."""
    process = launch(slurm, "--runtime=60", script=SAYS)
    assert process.communicate(timeout=60)[0] == "[]\n"
    assert process.returncode == 75
    assert (slurm / "asked").read_text() == "requeue 42\n"


def test_a_margin_longer_than_the_job_is_refused(slurm):
    process = launch(slurm, "--runtime=10", "--margin=10", script=SAYS)
    assert (
        "machine.margin: found 10, expected less than the job's runtime, 10 min" in process.communicate(timeout=60)[1]
    )
    assert process.returncode == 2


def test_where_slurm_refuses_the_retries_go_on(slurm):
    process = launch(slurm, "--runtime=60", script=SAYS)
    assert "job 42 is not queued again: refused" in process.communicate(timeout=60)[1]
    assert process.returncode == 75
    assert (slurm / "asked").read_text() == "requeue 42\n"


def test_a_task_of_an_array_speaks_of_itself_alone(slurm):
    """The last task to start has the array's own number, under which SLURM would queue all that it knows again."""
    (slurm / "squeue").write_text(f'#!/bin/sh\necho "$@" > {slurm}/looked; echo RUNNING\n')
    more = {"SLURM_ARRAY_JOB_ID": "42", "SLURM_ARRAY_TASK_ID": "3"}
    launch(slurm, "--runtime=60", script=SAYS, **more).communicate(timeout=60)
    assert (slurm / "looked").read_text() == "-h -j 42_3 -o %T\n"
    assert (slurm / "asked").read_text() == "requeue 42_3\n"


@pytest.mark.parametrize(
    "error", ["Unable to contact slurm controller (connect failure)", "Socket timed out on send/recv"]
)
def test_slurm_is_asked_again_where_it_did_not_answer(tmp_path, monkeypatch, error):
    (tmp_path / "tool").write_text(
        f"#!/bin/sh\n[ -e $0.asked ] && echo RUNNING && exit\ntouch $0.asked; echo '{error}' >&2; exit 1\n"
    )
    (tmp_path / "tool").chmod(0o755)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    assert insist(str(tmp_path / "tool")).stdout == "RUNNING\n"


def test_what_a_user_has_set_for_squeue_hides_no_job(tmp_path, monkeypatch):
    """SQUEUE_PARTITION in a shell: jobs of other partitions seemed gone."""
    (tmp_path / "squeue").write_text("#!/bin/sh\n[ $SQUEUE_PARTITION$SACCT_LOCAL ] || echo RUNNING\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SQUEUE_PARTITION", "gpu")
    monkeypatch.setenv("SACCT_LOCAL", "1")
    assert insist("squeue").stdout == "RUNNING\n"
    assert plugin.run("squeue") == ("RUNNING\n", "")


def test_where_it_is_not_wanted_nobody_asks(slurm):
    process = launch(slurm, "--runtime=60", "--requeue=0", script=SAYS)
    process.communicate(timeout=60)
    assert process.returncode == 75
    assert not (slurm / "asked").exists()


def test_a_job_that_is_cancelled_stays_so(slurm):
    (slurm / "squeue").write_text("#!/bin/sh\necho COMPLETING\n")
    process = launch(slurm, "--runtime=60", script=SAYS)
    assert "job 42 is COMPLETING and not queued again" in process.communicate(timeout=60)[1]
    assert process.returncode == 75
    assert not (slurm / "asked").exists()


def test_the_step_around_does_not_shape_the_trainings(slurm):
    script = "import os; print(sorted(key for key in os.environ if key.startswith('SLURM_')))"
    assert launch(slurm, "--runtime=60", script=script).communicate(timeout=60)[0] == "['SLURM_JOB_ID']\n"


@pytest.mark.parametrize(("requeue", "told"), [("1", "42"), ("0", "None")])
def test_a_step_hears_that_its_job_will_be_queued_again(slurm, requeue, told):
    script = f"import os; print(os.environ.get({QUEUED_AGAIN!r}))"
    process = launch(slurm, "--runtime=60", f"--requeue={requeue}", script=script)
    assert process.communicate(timeout=60)[0] == f"{told}\n"


def test_a_queued_job_waits_for_its_end(slurm):
    (slurm / "accepting").rename(slurm / "scontrol")
    process = launch(slurm, "--runtime=60", script=SAYS)
    while "queued again" not in process.stderr.readline():
        assert process.poll() is None
    assert process.poll() is None
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_sigterm_is_the_trainings_to_answer(slurm):
    script = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(0)); print('up', flush=True); time.sleep(5)"
    )
    process = launch(slurm, "--runtime=60", script=script)
    assert process.stdout.readline() == "up\n"
    process.terminate()
    time.sleep(0.3)
    assert process.poll() is None  # still there: the job's end is not decided by the launcher
    process.kill()
    process.communicate()
