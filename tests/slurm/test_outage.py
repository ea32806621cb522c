"""A Snakemake that is killed, a controller that goes away, a colleague: nothing of it changes what comes out.

Two people work on one results folder, each from a clone and with a configuration of their own, on a cluster that soon
forgets a job that is over. One's Snakemake is killed over its trainings and started again; then the controller is down
until they are over.
"""

import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.slurm import cluster
from tests.slurm.conftest import CONFIG, TRAINING, cloned, running, started, weights
from tests.slurm.test_storm import folder_of

NAMES = ("prior_base", "prior_upsampler")
OTHER = TRAINING | {"weights": "", "lr": 1.0e-3}
THEIRS = {"models": CONFIG["models"] | {"prior_upsampler": OTHER}}  # the other training is the same


@dataclass
class Done:
    """What is left of both runs: their exit codes, what they printed, our weights by name, their upsampler's."""

    codes: list[int]
    killed: str
    ours: str
    theirs: str
    weights: dict[str, Path]
    other: Path


@pytest.fixture(scope="module")
def done(clone, undisturbed, tmp_path_factory) -> Done:
    other, results = cloned(tmp_path_factory.mktemp("other")), tmp_path_factory.mktemp("shared")
    shared = {"results": str(results), "downloads": str(results / "downloads")}
    ours, theirs = CONFIG | shared, CONFIG | THEIRS | shared
    wanted, wanted_there = weights(clone, ours, *NAMES), weights(other, theirs, *NAMES)
    run = (clone, "outage", ours, "--profile", "slurm", "--", *wanted.values())
    log = clone / "outage.log"

    def all_have_jobs() -> bool:
        return log.exists() and all(jobs(log.read_text(), name) for name in NAMES)

    with cluster.cluster(clone, other, results, accounting=cluster.accounting()) as folder:
        with started(other, "theirs", theirs, "--profile", "slurm", "--", *wanted_there.values()) as second:
            with started(*run) as first:
                until(all_have_jobs)
                first.send_signal(signal.SIGKILL)
            with started(clone, "outage", ours, "--unlock") as unlocking:
                unlocking.wait()
            killed = log.rename(clone / "killed.log").read_text()
            with started(*run) as first:
                until(all_have_jobs)
                cluster.stop_controller(folder)
                until(lambda: "SLURM has not answered" in log.read_text() and not running())
                cluster.start_controller(folder)
                codes = [process.wait(600) for process in (first, second)]
    said = (clone / "outage.log").read_text(), (other / "theirs.log").read_text()
    return Done(codes, killed, *said, wanted, Path(wanted_there["prior_upsampler"]))


def jobs(printed: str, name: str) -> set[str]:
    """The SLURM jobs of a training that Snakemake has submitted or follows."""
    submitted = re.findall(rf"SLURM jobid (\d+) \(log: \S+/rule_train/{name}_", printed)
    return {*submitted, *re.findall(rf"is SLURM job (\d+) \(\w+\): train \S+/{name}/", printed)}


def until(true, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.3)


def test_all_of_it_is_made(done):
    assert done.codes == [0, 0], done.ours + done.theirs
    assert done.other.exists()


@pytest.mark.parametrize("name", NAMES)
def test_started_again_snakemake_follows_the_jobs_that_it_finds(done, name):
    assert jobs(done.ours, name) <= jobs(done.killed, name) | jobs(done.theirs, name)
    assert "submitted with SLURM jobid" not in done.ours


def test_a_controller_that_does_not_answer_is_said_once(done):
    for said in (done.ours, done.theirs):
        assert said.count("SLURM has not answered since") == said.count("SLURM answers again, after") == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_training_ends_in_the_same_bytes(done, undisturbed, name):
    here, quiet = Path(done.weights[name]).parent, folder_of(undisturbed, name)
    for file in ("weights.safetensors", "curve.csv"):
        assert (here / file).read_bytes() == (quiet / file).read_bytes(), file


@pytest.mark.skipif(not cluster.accounting(), reason="no slurmdbd, its MySQL plugin and mariadb-server")
def test_what_slurm_forgets_its_accounting_database_knows(done):
    assert "SLURM knows job" not in done.ours + done.theirs
