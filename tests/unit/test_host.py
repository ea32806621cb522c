"""What a job takes of its node: estimates that stand beside what was measured, and below what jobs ask for."""

from pathlib import Path

import pytest
import torch
from tests.unit.train import tiny

from piti.cards import PackCard
from piti.cli.plan import hosts
from piti.config import load
from piti.devices import place
from piti.plan import Artefact, resolve
from piti.plan.cost import Costs
from piti.plan.disk import checkpoint
from piti.plan.host import GB, batch, need
from piti.plan.jobs import asked
from piti.plan.steps import STEPS
from piti.train.batches import Files, training_batches

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def paper() -> Costs:
    flickr = {"flickr": {"path": "/data/flickr"}}
    return Costs(resolve(load({"datasets": flickr}, ROOT / "config"))[0], "A100-80")


def trained(costs: Costs, name: str) -> Artefact:
    """The training of that name."""
    (found,) = (a for a in costs.by_path.values() if a.name == name and a.step == "train")
    return found


def test_jobs_ask_for_more_than_they_take(paper):
    for artefact in paper.by_path.values():
        if not STEPS[artefact.step].local:
            asks = asked(paper.config.jobs, artefact.step, artefact.name)["mem_mb"]
            assert need(paper, artefact).memory < 1e6 * asks, artefact.path


def test_a_training_of_the_base_model_takes_what_was_measured(paper):
    """It starts in 3.4 GB, and its checkpoint of 5.4 GB is copied."""
    scratch = trained(paper, "scratch-coco_mask")
    assert checkpoint(paper, scratch.card) == pytest.approx(5.4 * GB, rel=0.01)
    assert 13 * GB < need(paper, scratch).memory < 15 * GB


@pytest.mark.parametrize(
    ("name", "low", "high"), [("scratch-coco_mask", 1.6, 1.9), ("scratch-diode_geometry", 3.0, 3.5)]
)
def test_eight_loaders_take_the_shared_memory_that_was_measured(paper, name, low, high):
    """1.7 GB for masks at 256 px, 3.3 for depth and normals."""
    scratch = trained(paper, name)
    many = Costs(resolve(load({"machine": {"workers": 8}}, ROOT / "config"))[0], "A100-80")
    assert low * GB < need(many, scratch).shm < high * GB


@pytest.mark.parametrize("kind", ["base", "upsampler"])
def test_a_batch_is_as_large_as_what_the_loader_makes(tmp_path, kind):
    card = tiny.card(kind)
    images, conditions = tiny.inputs(card, tiny.data(tmp_path, 8))
    with place() as here:
        made = training_batches(card, Files(images, conditions), here)[0]
    size = sum(value.nbytes for value in made.values() if isinstance(value, torch.Tensor))
    assert size <= batch(card) <= 1.3 * size


def test_instances_are_what_packing_takes_most_for(paper):
    packs = {a.name: need(paper, a).memory for a in paper.by_path.values() if isinstance(a.card, PackCard)}
    assert max(packs, key=packs.get) == "coco-train-instances286"


def test_every_kind_of_job_has_a_line(paper):
    lines = list(hosts(paper, paper.by_path))
    assert not any("too little" in line for line in lines)
    assert {line.split()[0] for line in lines[2:]} == {
        a.step for a in paper.by_path.values() if not STEPS[a.step].local
    }


def test_memory_by_the_cpu_is_what_a_job_gets():
    """sbatch is told `mem_mb_per_cpu` where somebody says it, and `mem_mb`, which ships, not at all."""
    jobs = {"default": {"mem_mb_per_cpu": 2000}, "models": {"scratch": {"cpus_per_task": 8}}}
    costs = Costs(resolve(load({"jobs": jobs}, ROOT / "config"))[0], "A100-80")
    lines = {line[:30].strip(): line for line in hosts(costs, costs.by_path)}
    assert " 8.0 GB" in lines["train stage1"] and "too little memory" in lines["train stage1"]
    assert "16.0 GB" in lines["train scratch"] and "too little memory" not in lines["train scratch"]
