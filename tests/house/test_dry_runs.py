"""What a user types resolves at the root of a fresh clone: no data, GPU or network needed, and no time either.

Each dry run is forced (-F), so that it plans everything whatever has been made here already.
"""

import json
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from piti.config import load
from piti.plan import resolve
from tests.house import ROOT, run


def dry_run(*arguments: str) -> str:
    """What `snakemake -n -F …` prints."""
    asked = run("-m", "snakemake", "-n", "-F", *arguments)
    assert asked.returncode == 0, asked.stdout + asked.stderr
    return asked.stdout


def jobs(printed: str) -> dict[str, int]:
    """Rule -> number of jobs, from the table that Snakemake prints."""
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", printed, re.M)}


@pytest.mark.parametrize("preset", ["paper", "smoke"])
def test_all_makes_what_the_plan_holds(preset):
    began = time.monotonic()
    printed = dry_run("all", "--config", f"preset={preset}")
    assert time.monotonic() - began < 30  # 3 to 5 s on a quiet machine; the aim is 10 s
    config = load({"preset": preset}, ROOT / "config")
    plan, _, _ = resolve(config)
    planned = Counter(step for step, _ in plan.artefacts)
    assert {rule: count for rule, count in jobs(printed).items() if rule in planned} == planned
    assert f" {config.results}/table1.csv" in printed


def test_short_names_and_files_are_targets():
    found = jobs(dry_run("table1", "tables", "figures", "figure3", "results/table1.csv"))
    assert {"table1", "tables", "figures", "figure3"} <= found.keys()
    assert "all" not in found


def test_typed_settings_beat_a_configfile_beats_the_preset(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("{preset: smoke, results: results/file, downloads: results/elsewhere}")
    printed = dry_run("table1", "--configfile", str(file), "--config", "results=results/typed")
    assert " results/typed/table1.csv" in printed
    assert " results/elsewhere/" in printed
    assert "draw_scenes" in jobs(printed)
    assert "results/file/" not in printed


def test_slurm_profile():
    assert jobs(dry_run("--profile", "slurm", "all"))["train"]


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("presett=smoke", "config: unknown key 'presett'; nearest valid key: preset"),
        ("models={stage1: {setps: 3}}", "models.stage1: unknown key 'setps'; nearest valid key: steps"),
    ],
)
def test_mistyped_settings_are_refused(setting, line):
    asked = run("-m", "snakemake", "-n", "--config", setting)
    assert asked.returncode != 0
    assert f"configuration: {line}" in asked.stdout + asked.stderr
    assert "Traceback" not in asked.stderr


# -- the graph ends at what exists -------------------------------------------------------------------------------------


def plans(folder: Path, *arguments: str, **user) -> str:
    """What an unforced dry run with this results folder prints."""
    settings = [f"{key}={json.dumps(value)}" for key, value in user.items()]
    folders = [f"results={folder}", f"downloads={folder}/downloads"]
    asked = run("-m", "snakemake", "-n", *arguments, "--config", *folders, *settings)
    assert asked.returncode == 0, asked.stdout + asked.stderr
    return asked.stdout


def brought(folder: Path, *steps: str, **user) -> list[Path]:
    """What somebody brings: all that these steps make, and nothing that it was made from."""
    plan, _, _ = resolve(load(user | {"results": str(folder)}, ROOT / "config"))
    found = [Path(artefact.path) for artefact in plan.artefacts.values() if artefact.step in steps]
    for path in found:
        path.parent.mkdir(parents=True)
        path.touch()
    return found


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"shard_size": 100},
        {"datasets": {"ade20k": {"path": "/data/ade20k/"}, "coco": {"train": 118286}}},
        {"weights": {"glide_base": {"path": "/data/glide.pt", "licence": "Expat"}}},
    ],
)
def test_somebodys_models_are_not_trained_again(tmp_path, change):
    brought(tmp_path / "models", "train")
    (tmp_path / "linked").symlink_to(tmp_path / "models")
    printed = plans(tmp_path / "linked", "table1", **change)
    assert jobs(printed).keys() >= {"sample", "pack", "draw_sketches"}
    assert "train" not in jobs(printed)
    assert "-test-mask256" in printed and "-train-" not in printed


def test_what_is_finished_is_not_asked_for_its_inputs(tmp_path):
    brought(tmp_path, "extract_features")
    assert jobs(plans(tmp_path, "table5")).keys() == {"score", "make_table", "publish_table", "table5", "total"}


def test_what_is_gone_or_forced_is_made_again_with_all_that_it_takes(tmp_path):
    models = brought(tmp_path, "train")
    forced = jobs(plans(tmp_path, "table4", "-R", "train"))
    assert forced["train"] == jobs(plans(tmp_path / "new", "table4"))["train"]
    assert forced["pack"] > 1
    gone = next(path for path in models if path.parts[-3] == "two_stage-ade20k_mask")
    gone.unlink()
    assert jobs(plans(tmp_path, "table4"))["train"] == 1
    assert "-train-mask256" in plans(tmp_path, "table4")
