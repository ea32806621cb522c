"""What a job asks for: the narrower word counts, and names are checked."""

import pytest
from tests.house import ROOT

from piti.cli.plan import work
from piti.config import load
from piti.plan import resolve, runs
from piti.plan.copies import copies
from piti.plan.cost import Costs
from piti.plan.jobs import asked, gpus_of, here
from piti.plan.steps import STEPS
from piti.store.files import InputError

JOBS = {
    "default": {"mem_mb": 1000, "runtime": 10},
    "computing": {"mem_mb": 2000, "gpu": 1},
    "steps": {"train": {"mem_mb": 3000, "gpu": 4}, "score": {"mem_mb": 500}},
    "models": {"spade": {"constraint": "big"}, "oasis": {"gres": "gpu:2"}, "pix2pixhd": {"gpu": 1}},
}


def said(step: str, name: str = "x", jobs: dict = JOBS) -> dict:
    return asked(load({"jobs": jobs}, ROOT / "config").jobs, step, name)


def test_the_narrower_word_counts():
    assert said("score")["mem_mb"] == 500 and "gpu" not in said("score")
    assert said("sample")["mem_mb"] == 2000 and said("sample")["gpu"] == 1
    stage1, spade, pix2pixhd = (said("train", f"{row}-ade20k_mask") for row in ("stage1", "spade", "pix2pixhd"))
    assert (stage1["mem_mb"], stage1["gpu"], spade["gpu"], pix2pixhd["gpu"]) == (3000, 4, 4, 1)
    assert spade["constraint"] == "big" and "constraint" not in stage1
    assert said("generate", "spade-ade20k_mask").get("constraint") is None  # a row's word is for its trainings


def test_of_two_ways_to_ask_for_gpus_the_narrower_counts():
    assert said("train", "oasis-ade20k_mask")["gres"] == "gpu:2"
    assert "gpu" not in said("train", "oasis-ade20k_mask")
    site = {"computing": {"gres": "gpu:a100:1"}}  # beside the `gpu` of config/jobs.yaml
    assert said("sample", jobs=site)["gres"] == "gpu:a100:1" and "gpu" not in said("sample", jobs=site)
    by_gres = JOBS | {"steps": {"train": {"gres": "gpu:4"}}}
    assert "gres" not in said("train", "pix2pixhd-ade20k_mask", by_gres)


def test_a_gres_that_is_no_gpu_takes_none_away():
    """A disk of the node's: without its GPU a training would run on CPUs, without a word."""
    for jobs in ({"computing": {"gres": "nvme:1"}}, {"computing": {"gres": "nvme:1", "gpu": 2}}):
        found = said("train", "spade-ade20k_mask", jobs=jobs)
        assert (found["gres"], found["gpu"]) == ("nvme:1", jobs["computing"].get("gpu", 1))
    narrower = said("train", "spade-x", jobs={"default": {"gres": "nvme:1"}, "steps": {"train": {"gpu": 2}}})
    assert (narrower["gres"], narrower["gpu"]) == ("nvme:1", 2)
    for parts in ("shard:4", "mps:50", "gpu:1"):
        assert "gpu" not in said("train", "spade-ade20k_mask", jobs={"steps": {"train": {"gres": parts}}})


def test_pix2pixhd_takes_one_gpu_whatever_trainings_take():
    """Its batch is 1. As shipped, and by both ways to ask."""
    for many in ({"gpu": 4, "cpus_per_task": 16}, {"gres": "gpu:4", "nodes": 2}):
        found = said("train", "pix2pixhd-ade20k_mask", {"steps": {"train": many}})
        assert (found["gpu"], found["nodes"], found["cpus_per_task"]) == (1, 1, 4) and "gres" not in found


@pytest.mark.parametrize(
    ("said", "gpus"),
    [
        ({"gres": "gpu"}, 1),
        ({"gres": "gpu:4"}, 4),
        ({"gres": "gpu:a100"}, 1),
        ({"gres": "gpu:a100:2"}, 2),
        ({"gres": "gpu:a100:2(S:0-1)"}, 2),
        ({"gres": "gpu:4(S:0,1)"}, 4),
        ({"gres": "gpu:2g.20gb"}, 1),
        ({"gres": "gpu:2g.20gb:3", "gpu": 8}, 3),
        ({"gres": "shard:8,gpu:2"}, 2),
        ({"gres": "gpu:a100:1,gpu:h100:2"}, 3),
        ({"gres": "shard:8"}, None),
        ({"gres": "", "gpu": 2}, 2),
        ({"gpu": 0}, 0),
        ({}, None),
    ],
)
def test_how_many_gpus_a_request_means(said, gpus):
    assert gpus_of(said) == gpus


@pytest.mark.parametrize("site", [{"gpu_model": "a100"}, {"gres": "gpu:a100:1"}])
def test_who_asks_for_no_gpu_asks_for_no_kind_of_gpu_either(site):
    found = said("train", "pix2pixhd-ade20k_mask", {"computing": site, "models": {"pix2pixhd": {"gpu": 0}}})
    assert found["gpu"] == 0 and not {"gpu_model", "gres"} & found.keys()
    assert "gpu_model" not in said("score", jobs={"default": {"gpu_model": "a100"}})
    assert "gpu_model" not in said("sample", jobs={"default": {"gpu_model": "a100"}, "computing": {"gres": "gpu:1"}})


@pytest.mark.parametrize(
    ("jobs", "found"),
    [
        ({"models": {"one_stage": {"nodes": 2, "gpu": 8}}}, 'gpu: 8 on nodes: 2 for train one_stage-.* "gpu:4"'),
        ({"models": {"one_stage": {"nodes": 2}}}, 'gpu: 1 on nodes: 2 for train one_stage-.* "gpu:1"'),
        ({"steps": {"train": {"nodes": 3}}}, 'gpu: 1 on nodes: 3 for train .* "gpu:1"'),
    ],
)
def test_gpus_over_several_nodes_are_asked_for_by_gres(jobs, found):
    with pytest.raises(InputError, match=f"^jobs: found {found}$"):
        resolve(load({"jobs": jobs}, ROOT / "config"))
    for gpus in ({"gpu": 0}, {"gres": "gpu:4"}):
        resolve(load({"jobs": {"models": {"one_stage": {"nodes": 2} | gpus}}}, ROOT / "config"))


@pytest.mark.parametrize(
    ("jobs", "line"),
    [
        ({"steps": {"trian": {"gpu": 1}}}, "jobs.steps: found 'trian', expected one of .*; nearest: train"),
        ({"models": {"pix2pixh": {"gpu": 1}}}, "jobs.models: unknown key 'pix2pixh'; nearest valid key: pix2pixhd"),
        ({"here": ["socre"]}, "jobs.here.0.: found 'socre', expected one of .*; nearest: score"),
        ({"default": {"mem_bm": 1}}, "jobs.default: unknown key 'mem_bm'; nearest valid key: mem_mb"),
        (
            {"steps": {"score": {"runtime": "1 day"}}},
            "jobs.steps.score.runtime: found '1 day', expected",
        ),
        ({"steps": {"score": {"runtime": 0}}}, "jobs.steps.score: runtime: found 0, expected 1 or more"),
    ],
)
def test_a_name_that_nothing_has_is_refused_with_the_nearest(jobs, line):
    with pytest.raises(InputError, match=line):
        said("score", jobs=jobs)


def test_only_work_on_cpus_is_kept_here():
    jobs = load({"jobs": {"here": ["score", "pack"]}}, ROOT / "config").jobs
    assert here(jobs) == {"score", "pack"} | {name for name, step in STEPS.items() if step.local}
    with pytest.raises(InputError, match=r"jobs\.here: found sample, which computes on a GPU, expected steps on CPUs"):
        here(load({"jobs": {"here": ["sample"]}}, ROOT / "config").jobs)


@pytest.mark.parametrize(
    ("kept", "submitted"), [([], 336), (["score", "convert_weights"], 261), (["score", "convert_weights", "pack"], 237)]
)
def test_how_many_of_the_papers_jobs_are_submitted(kept, submitted):
    """As docs/cluster.md says it: of 419."""
    plan, *shown = resolve(config := load({"jobs": {"here": kept}}, ROOT / "config"))
    shown = copies(plan, *shown)
    assert len(plan.artefacts) + len(shown) + 1 == 419  # and `all`
    assert sum(step not in here(config.jobs) for step, _ in plan.artefacts) == submitted


def test_a_job_that_was_submitted_asks_the_same(tmp_path):
    config = load({"preset": "smoke", "jobs": JOBS, "results": str(tmp_path)}, ROOT / "config")
    recalled = runs.recall(runs.remember(resolve(config)[0])).config
    assert recalled.jobs == config.jobs
    for name in ("oasis-ade20k_mask", "pix2pixhd-ade20k_mask", "stage1-ade20k_mask"):
        assert asked(recalled.jobs, "train", name) == asked(config.jobs, "train", name) != {}


def test_a_row_may_have_hyphens_in_its_name():
    config = load(
        {
            "models": {"my-row": {"like": "scratch", "steps": 10}, "my-row-large": {"like": "scratch"}},
            "methods": {"ours": {"base": "my-row"}},
            "jobs": {"models": {"my-row": {"gpu": 4}}},
        },
        ROOT / "config",
    )
    assert asked(config.jobs, "train", "my-row-coco_mask")["gpu"] == 4
    assert asked(config.jobs, "train", "my-rows-coco_mask")["gpu"] == 1
    assert asked(config.jobs, "train", "my-row-large-coco_mask")["gpu"] == 1  # of a row of which `jobs` says nothing
    costs = Costs(resolve(config)[0])
    trainings = [a for a in costs.by_path.values() if a.step == "train" and a.name.startswith("my-row-")]
    assert {work(costs, training) for training in trainings} == {"train my-row"}
