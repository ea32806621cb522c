"""Snakemake's executor for SLURM, against a controller that the tests play."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from tests.house import ROOT

import snakemake_executor_plugin_piti_slurm as plugin

NO_ANSWER = None, "Unable to contact slurm controller"


class Executor(plugin.Executor):
    """One that was not started, and notes what it reports."""

    def __init__(self, folder):
        settings = SimpleNamespace(seconds_between_status_checks=20)
        self.workflow = SimpleNamespace(remote_execution_settings=settings)
        self.logger, self.slurm_logdir = logging.getLogger(__name__), folder
        self.job = SubmittedJobInfo(SimpleNamespace(output=[folder / "file"]), external_jobid="7")
        self.report_job_success = lambda job: self.reported.append("success")
        self.report_job_error = lambda job, msg, aux_logs: self.reported.append(msg.strip())
        self.reported = []

    def check(self) -> bool:
        """Look at the job once; whether it is still an active one."""

        async def active():
            return [job async for job in self.check_active_jobs([self.job])]

        return asyncio.run(active()) == [self.job]


@pytest.fixture
def executor(tmp_path, monkeypatch):
    """With `said`: what the commands of SLURM answer, in turn."""
    made = Executor(tmp_path)
    made.said = []
    monkeypatch.setattr(plugin, "run", lambda *command: made.said.pop(0))
    return made


def squeue(state: str) -> tuple[str, str]:
    return (f"7|{state}|train /results/x\n" if state else "3|RUNNING|another\n"), ""


@pytest.mark.parametrize(
    ("states", "outcome"),
    [
        (["PENDING", "RUNNING", "COMPLETING", "COMPLETED"], "success"),
        (["RUNNING", "OUT_OF_MEMORY"], "SLURM job 7: OUT_OF_MEMORY."),
        (["RUNNING", "PREEMPTED", "PENDING", "RUNNING", "NODE_FAIL", "REQUEUED", "COMPLETED"], "success"),
        (["RUNNING", "PREEMPTED", "PREEMPTED"], "SLURM job 7: PREEMPTED."),
        (["RUNNING", "NODE_FAIL", "NODE_FAIL"], "SLURM job 7: NODE_FAIL."),
        (["RUNNING", "", "RUNNING", "COMPLETED"], "success"),
    ],
)
def test_a_job_is_over_when_slurm_says_so_and_twice_where_it_may_be_queued_again(executor, states, outcome):
    executor.said += map(squeue, states)
    assert [executor.check() for _ in states] == [True] * (len(states) - 1) + [False]
    assert executor.reported == [outcome]


@pytest.mark.parametrize(
    ("sacct", "file", "outcome"),
    [
        (("7|COMPLETED\n", ""), False, "success"),
        (("7|CANCELLED by 0\n", ""), True, "SLURM job 7: CANCELLED."),
        (("7|RUNNING\n", ""), True, "success"),  # the database was not told of its end
        (("", ""), True, "success"),
        ((None, "Slurm accounting storage is disabled"), True, "success"),
        ((None, "Slurm accounting storage is disabled"), False, "SLURM job 7: gone."),
    ],
)
def test_a_job_that_left_squeue_is_judged_by_sacct_or_by_its_files(executor, tmp_path, sacct, file, outcome):
    executor.said += [squeue(""), squeue(""), sacct]
    if file:
        (tmp_path / "file").touch()
    assert [executor.check(), executor.check()] == [True, False]
    assert executor.reported == [outcome]


def test_while_no_controller_answers_jobs_are_kept_and_waits_grow(executor, monkeypatch, caplog):
    executor.said += [NO_ANSWER] * 5 + [squeue(""), NO_ANSWER, squeue("RUNNING")]
    now, waits = 1000.0, []
    monkeypatch.setattr(plugin.time, "time", lambda: now)
    while executor.said:
        assert executor.check()
        waits.append(executor.next_seconds_between_status_checks)
        now += waits[-1]
    assert waits == [20, 20, 40, 80, 160, 20, 20, 20]
    first, last = (record.getMessage() for record in caplog.records)
    assert "has not answered since" in first and "Unable to contact slurm controller" in first
    assert last == "SLURM answers again, after 320 s."


@pytest.mark.parametrize(("ours", "followed"), [("9", "7"), ("7", "7"), ("5", "5"), ("9_1", "9_1")])
def test_of_two_jobs_submitted_at_one_moment_the_first_is_followed(executor, tmp_path, monkeypatch, ours, followed):
    job, reported, ran = SimpleNamespace(name="train", output=[tmp_path / "file"]), [], []
    known = [f"{number}|PENDING|train {tmp_path}" for number in {"7", ours}] + [f"3|COMPLETED|train {tmp_path}"]
    answers = {"squeue": ("\n".join(known), ""), "scancel": ("", "")}
    monkeypatch.setattr(plugin, "run", lambda *command: ran.append(command) or answers[command[0]])
    monkeypatch.setattr(plugin.Slurm, "_report_job_submission_threadsafe", lambda self, info: reported.append(info))
    executor._report_job_submission_threadsafe(SubmittedJobInfo(job, external_jobid=ours))
    assert [info.external_jobid for info in reported] == [followed]
    assert (("scancel", ours) in ran) == (ours != followed)
    assert any(command[0] == "squeue" for command in ran) == ours.isdigit()  # a task of an array follows nobody


SNAKEFILE = """
RESULTS = config["results"]
rule all:
    input: expand("{results}/{name}/file", results=RESULTS, name=["new", "left", "lost"])
for name in ("new", "left", "lost"):
    rule:
        name: name
        output: f"{RESULTS}/{name}/file"
        shell: "nothing runs here"
"""
# Job 7 is there when Snakemake starts. squeue never knows the jobs of `lost`; when two were submitted, all are over.
SLURM = '''#!{python}
"""Whatever command of SLURM it is called by. Its memory is `jobs.json` beside it."""
import fcntl, json, sys
from pathlib import Path

here = Path(__file__).parent
lock = open(here / "lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
jobs, (command, *words) = json.loads((here / "jobs.json").read_text()), sys.argv
match Path(command).name:
    case "sbatch":
        comment = [word for word in words if word.startswith("--comment")][-1].partition("=")[2]
        jobs[number := str(100 + len(jobs))] = comment
        Path(words[words.index("--output") + 1].replace("%j", number)).touch()
        print(number)
    case "squeue":
        over = sum(comment.startswith("lost") for comment in jobs.values()) == 2
        for number, comment in jobs.items():
            rule, folder = comment.split()
            if over:
                Path(folder).mkdir(exist_ok=True)
                (Path(folder) / "file").touch()
            if rule != "lost":
                print(number, "COMPLETED" if over else "RUNNING", comment, sep="|")
(here / "jobs.json").write_text(json.dumps(jobs))
'''


def test_without_an_answer_nothing_begins(tmp_path):
    """SLURM's tools are there, and its controller is not: no download is to start before that is said."""
    (tmp_path / "squeue").write_text("#!/bin/sh\necho 'slurm_load_jobs error: Unable to contact' >&2; exit 1\n")
    (tmp_path / "squeue").chmod(0o755)
    rule = 'rule here:\n    output: "made"\n    localrule: True\n    shell: "touch made"\n'
    (tmp_path / "Snakefile").write_text(rule)
    command = [sys.executable, "-m", "snakemake", "--executor", "piti-slurm", "--jobs", "1"]
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": f"{ROOT}/src"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert "found no answer here (slurm_load_jobs error: Unable to contact), expected a login node" in done.stderr
    assert not (tmp_path / "made").exists()


@pytest.mark.slow
def test_snakemake_follows_what_is_there_and_submits_the_rest(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tools / "slurm").write_text(SLURM.format(python=sys.executable))
    (tools / "slurm").chmod(0o755)
    for command in ("sbatch", "squeue", "sacct", "sacctmgr", "scontrol", "scancel", "sinfo", "sshare"):
        (tools / command).symlink_to("slurm")
    (tools / "jobs.json").write_text(json.dumps({"7": f"left {tmp_path}/results/left"}))
    command = [sys.executable, "-m", "snakemake", "--executor", "piti-slurm", "--jobs", "9", "--retries", "1"]
    command += ["--seconds-between-status-checks", "1", "--latency-wait", "1", "--config", "results=results"]
    command += ["--default-resources", "slurm_account=a", "slurm_partition=p", "mem_mb=1", "runtime=1"]
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": f"{ROOT}/src"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    submitted = [comment.split()[0] for comment in json.loads((tools / "jobs.json").read_text()).values()]
    assert sorted(submitted) == ["left", "lost", "lost", "new"]
    assert f"is SLURM job 7 (RUNNING): left {tmp_path}/results/left" in done.stderr
    assert [*(tmp_path / "results/logs/slurm/rule_new").glob("*.log")]


def test_lines_that_are_no_jobs_are_left_out(executor, monkeypatch):
    """A banner of the site, a comment of several lines."""
    executor.said += [("Welcome to the cluster\n7|RUNNING|train /results/x\nand more\n", "")]
    assert executor.ask() == {"7": plugin.Said("RUNNING", "train /results/x")}


def test_after_ctrl_c_nobody_asks_for_a_job_that_waits(executor):
    executor.cancelled = threading.Event()
    executor.cancelled.set()
    executor.run_job(SimpleNamespace(jobid=1))  # `said` is empty: to ask would fail


def test_all_that_left_squeue_are_accounted_for_at_once(monkeypatch):
    asked = []
    monkeypatch.setattr(
        plugin, "run", lambda *command: (asked.append(command), ("8|FAILED\n9|COMPLETED\n10|RUNNING\n", ""))[1]
    )
    assert plugin.accounted({"8", "9", "10"}) == {"8": "FAILED", "9": "COMPLETED"}
    assert len(asked) == 1 and plugin.accounted(set()) == {}
