"""`executor: piti-slurm`: the SLURM plugin of Snakemake, and what weeks on a cluster need beside it.

Submitting, arrays, cancelling and the settings are snakemake-executor-plugin-slurm's. Ours is:

- While the controller does not answer, jobs are kept, and it is asked again with growing waits.
- A job that has left squeue is judged by sacct, or where that cannot say, by whether its files are there.
- A job that is there already, of a Snakemake that was killed, is followed and not submitted again.
- SLURM's logs lie where the results lie.
"""

import os
import shlex
import subprocess
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from snakemake_executor_plugin_slurm import Executor as Slurm
from snakemake_executor_plugin_slurm import ExecutorSettings, common_settings
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from piti.run.launch import unfiltered

__all__ = ["Executor", "ExecutorSettings", "common_settings"]

GONE = "gone"  # squeue knows it no longer
DOUBTFUL = {GONE, "PREEMPTED", "NODE_FAIL"}  # SLURM may queue it again: over when said twice
OVER = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "DEADLINE", "OUT_OF_MEMORY", "BOOT_FAIL", *DOUBTFUL}


class Said(NamedTuple):
    """What squeue says of a job: its state, and in its comment what it makes."""

    state: str
    makes: str


class Executor(Slurm):
    doubted: frozenset[str] = frozenset()  # jobs that the last answer leaves in doubt
    silent: float = 0.0  # since when the controller does not answer, in seconds since 1970; 0: it answers
    told = False  # whether this was said

    def __post_init__(self, *arguments):
        answer, error = run("squeue", "--me", "--noheader")
        if answer is None:  # later there are jobs that are worth waiting for
            raise WorkflowError(f"SLURM: found no answer here ({error}), expected a login node of the cluster")
        self.workflow.executor_settings.status_command = None  # `ask` takes its place: so no warning about it
        super().__post_init__(*arguments)
        self.cancelled = threading.Event()
        if not self.workflow.executor_settings.logdir:
            self.slurm_logdir = Path(self.workflow.globals["RESULTS"], "logs", "slurm").absolute()

    def cancel(self):
        self.cancelled.set()
        super().cancel()

    def get_partition_arg(self, job):
        """What sbatch is told of the partition; and of what the job makes, in a comment: of two the last one counts."""
        return f"{super().get_partition_arg(job)} --comment={shlex.quote(makes(job))}"

    def run_job(self, job):
        """Submit a job when the controller answers, or follow the one that is there."""
        known = None
        while known is None and not self.cancelled.is_set():
            if (known := self.ask()) is None:
                self.cancelled.wait(self.pause())
        if known and (found := self.same(job, known)):
            self.logger.info(f"Job {job.jobid} is SLURM job {found} ({known[found].state}): {makes(job)}")
            super()._report_job_submission_threadsafe(SubmittedJobInfo(job, external_jobid=found))
        elif not self.cancelled.is_set():
            super().run_job(job)

    def _report_job_submission_threadsafe(self, job_info):
        """After sbatch. Where another Snakemake submitted the same at that moment, both follow the first job: a second
        one would begin by removing what the first has made."""
        ours = job_info.external_jobid
        first = self.same(job_info.job, self.ask() or {}) if ours.isdigit() else None  # not for each task of an array
        if first and int(first) < int(ours):
            run("scancel", ours)
            self.logger.info(f"SLURM job {ours} is cancelled: job {first} was submitted before, for the same")
            job_info.external_jobid = first
        super()._report_job_submission_threadsafe(job_info)

    def same(self, job, known: dict[str, Said]) -> str | None:
        """The first SLURM job that makes the same, queued or running. None of an array: its tasks share one comment."""
        wanted = makes(job)
        found = (number for number, said in known.items() if said.makes == wanted and said.state not in OVER)
        return min(filter(str.isdigit, found), key=int, default=None)

    async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> AsyncIterator[SubmittedJobInfo]:
        """Report the jobs that are over, yield the others."""
        known = self.ask() if active_jobs else {}
        self.next_seconds_between_status_checks = self.pause()
        if known is None:
            known = {job.external_jobid: Said("RUNNING", "") for job in active_jobs}
        before, self.doubted = self.doubted, frozenset()
        accounts = accounted({job.external_jobid for job in active_jobs} & before - known.keys())
        for job in active_jobs:
            number = job.external_jobid
            state = known[number].state if number in known else accounts.get(number, GONE)
            if state in DOUBTFUL and number not in before:
                self.doubted |= {number}
                yield job
            elif state in OVER:
                self.judge(job, state)
            else:
                yield job

    def judge(self, job: SubmittedJobInfo, state: str) -> None:
        """Report a job that is over."""
        number = job.external_jobid
        if state == GONE:
            there = all(os.path.exists(file) for file in job.job.output)
            self.logger.info(f"SLURM knows job {number} no longer. Its files are {'there' if there else 'missing'}.")
            state = "COMPLETED" if there else GONE
        if state == "COMPLETED":
            self.report_job_success(job)
        else:
            logs = [str(log) for log in self.slurm_logdir.rglob(f"{number}.log")]
            self.report_job_error(job, msg=f"SLURM job {number}: {state}. ", aux_logs=logs)

    def ask(self) -> dict[str, Said] | None:
        """What squeue says of all jobs of this user; None where the controller does not answer."""
        answer, error = run("squeue", "--me", "--array", "--states=all", "--noheader", "--format=%i|%T|%k")
        now = time.time()
        if answer is None:
            self.silent = self.silent or now
            if not self.told and now - self.silent >= 4 * self.polling:
                self.told = True
                self.logger.warning(
                    f"SLURM has not answered since {time.ctime(self.silent)}: {error}. It is asked again."
                )
            return None
        if self.told:
            self.logger.warning(f"SLURM answers again, after {now - self.silent:.0f} s.")
        self.silent, self.told = 0.0, False
        lines = (
            line.split("|", 2) for line in answer.splitlines()
        )  # a site's banner and a comment's second line are none
        return {line[0]: Said(*line[1:]) for line in lines if len(line) == 3}

    @property
    def polling(self) -> int:
        return self.workflow.remote_execution_settings.seconds_between_status_checks

    def pause(self) -> float:
        """Seconds until the controller is asked again: as many as it has been silent, within bounds."""
        return min(max(self.polling, time.time() - self.silent), 8 * self.polling) if self.silent else self.polling


def makes(job) -> str:
    """The rule and the folders that a job makes: the same words for the same work, whoever asks for it."""
    return " ".join([job.name, *sorted({os.path.realpath(os.path.dirname(file)) for file in job.output})])


def accounted(jobs: set[str]) -> dict[str, str]:
    """The states of jobs that are over, in the accounting database, where there is one that knows."""
    if not jobs:
        return {}
    asked = ["--allocations", "--noheader", "--parsable2", "--format=JobID,State", f"--jobs={','.join(jobs)}"]
    lines = (line.split("|") for line in (run("sacct", *asked)[0] or "").splitlines())
    known = {
        line[0]: line[1].split()[0] for line in lines if len(line) == 2 and line[1]
    }  # of "CANCELLED by 0" the first
    return {number: state for number, state in known.items() if state in OVER}


def run(*command: str) -> tuple[str | None, str]:
    """What a command prints, None where it fails; and the last line of what it says about that."""
    try:
        environment = unfiltered(os.environ)
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)
    return (None if done.returncode else done.stdout), done.stderr.strip().rpartition("\n")[2]
