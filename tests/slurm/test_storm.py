"""What a cluster does to a run changes nothing that comes out of it. See conftest.py for the run."""

import csv
import itertools
import json
import re
from pathlib import Path

import pytest

from tests.slurm.conftest import CONFIG

TRAININGS = ("prior_base", "prior_upsampler", "stage1", "continuation", "two_stage", "upsampler")


def folder_of(done, name: str) -> Path:
    """Where a training's weights lie."""
    (weights,) = done.folder.glob(f"models/{name}*/*/weights.safetensors")
    return weights.parent


def history(done, name: str) -> list[dict]:
    """The pieces in which it was made."""
    return json.loads((folder_of(done, name) / "card.json").read_text())["made"]["history"]


def table(done) -> dict[str, str]:
    """Row -> its cell."""
    with open(done.folder / "column.csv", newline="") as file:
        return {row[0]: row[1] for row in list(csv.reader(file))[1:]}


def test_the_run_on_this_machine_is_whole(undisturbed):
    assert undisturbed.code == 0, undisturbed.printed
    assert table(undisturbed)["Ours"]


@pytest.mark.parametrize("name", TRAININGS)
def test_every_training_ends_in_the_same_bytes(undisturbed, disturbed, name):
    quiet, storm = folder_of(undisturbed, name), folder_of(disturbed, name)
    assert quiet.name == storm.name
    for file in ("weights.safetensors", "curve.csv"):
        assert (quiet / file).read_bytes() == (storm / file).read_bytes(), file
    pieces = history(disturbed, name)
    assert [pieces[0]["from"], pieces[-1]["to"]] == [0, CONFIG["models"][name]["steps"]]
    assert all(before["to"] == after["from"] for before, after in itertools.pairwise(pieces))


def test_so_does_the_table(undisturbed, disturbed):
    assert table(disturbed) == table(undisturbed)


@pytest.mark.parametrize("name", ["prior_base", "continuation", "stage1"])
def test_preempted_or_over_its_time_a_training_goes_on_in_the_same_job(disturbed, name):
    """prior_base is preempted, continuation too where that cancels, stage1 is longer than its job may be."""
    pieces = history(disturbed, name)
    assert len(pieces) > 1
    assert len(disturbed.submitted[name]) == 1  # no retry was used
    assert {piece["job"] for piece in pieces} == set(disturbed.submitted[name])


def test_cancelled_or_over_its_memory_it_goes_on_in_another(disturbed):
    assert len(disturbed.submitted["prior_upsampler"]) == len(disturbed.submitted["upsampler"]) == 2
    assert {piece["job"] for piece in history(disturbed, "prior_upsampler")} == {
        *disturbed.submitted["prior_upsampler"]
    }


def test_hosts_are_nodes_of_the_cluster(disturbed):
    assert {piece["host"] for name in TRAININGS for piece in history(disturbed, name)} == {"gpu1", "spare"}


def test_jobs_have_a_gpu_each_and_the_cpus_they_asked_for(disturbed):
    seen = {name: evidence for name, evidence in disturbed.seen.items() if name in TRAININGS}
    assert seen.keys() == {*TRAININGS}
    assert {cpus for evidence in seen.values() for *_, cpus in evidence} == {"3"}
    assert all(re.fullmatch(r"\d", gpus) for evidence in seen.values() for _, _, gpus, _ in evidence)


def test_a_failing_job_is_tried_again_and_then_shown(disturbed):
    assert disturbed.code == 1
    tails = re.findall(r"end of (\S+): \n((?: {8}.*\n)+)", disturbed.printed)
    assert sum("error: nowhere: no such file or folder" in tail for _, tail in tails) >= 3  # the first try and two more
    whole = [len((disturbed.folder.parent / log).read_text().splitlines()) for log, _ in tails]
    assert max(tail.count("\n") for _, tail in tails) == 30 < max(whole)
    assert not (disturbed.folder / "broken.csv").exists()


def test_a_diverged_baseline_is_a_cell_of_the_table(disturbed):
    assert "diverged" in table(disturbed)["Pix2PixHD"]


def test_a_training_on_two_nodes_agrees_with_one_on_one(undisturbed, disturbed):
    """Two processes, one a node, told to leave on the way: torchrun's exit code asks to go on, too."""
    pieces = history(disturbed, "wide")
    assert len(pieces) > 1
    assert len(disturbed.submitted["wide"]) == 1
    assert {(piece["host"], piece["processes"]) for piece in pieces} == {("gpu1,spare", 2)}
    # Sums in another order grow apart in Adam's weights; the loss of each ten steps does not.
    one, two = (curve(folder_of(done, "wide") / "curve.csv") for done in (undisturbed, disturbed))
    assert two == pytest.approx(one, rel=0.03)


def curve(path: Path) -> list[float]:
    """The loss of each line."""
    return [float(row["mse"]) for row in csv.DictReader(path.read_text().splitlines())]
