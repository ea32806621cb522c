"""What a user types resolves at the root of a fresh clone: no data, GPU or network needed, and no time either.

Each dry run is forced (-F), so that it plans everything whatever has been made here already.
"""

import re
import time
from collections import Counter

import pytest
import yaml

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


def test_some_rows_may_ask_for_more(tmp_path):
    """As docs/cluster.md says it: expressions in place of values."""
    (line,) = (s for s in (ROOT / "docs/cluster.md").read_text().splitlines() if s.startswith("| more for some rows |"))
    examples = [yaml.safe_load(example) for example in re.findall("`([^`]+)`", line)]
    profile = yaml.safe_load((ROOT / "config/profiles/slurm/config.yaml").read_text())
    for example in examples:
        profile["set-resources"]["train"] |= example
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(profile))
    printed = dry_run("--profile", str(tmp_path), "table1")
    trainings = re.findall(r"output: results/models/(\w+)-.*?resources: (.*?)\n", printed, re.S)
    asked = {row: dict(re.findall(r"(gpu|constraint|mem_mb|cpus_per_task)=(\w*)", text)) for row, text in trainings}
    needs = {"mem_mb": "24000", "cpus_per_task": "4"}
    assert asked["scratch"] == needs | {"gpu": "4", "constraint": ""}
    assert asked["oasis"] == needs | {"gpu": "1", "constraint": "gpu80"}
    assert asked["stage1"] == needs | {"gpu": "1", "constraint": ""}


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
