"""Another executor than SLURM's: the example cluster-generic, with its scripts for this machine."""

import importlib.util
import subprocess
import time
from pathlib import Path

import pytest
from tests.flow.clone import clone, snakemake
from tests.house import ROOT

from piti.config import load
from piti.plan import resolve

EXAMPLE = Path("config/profiles/examples/cluster-generic")
CONFIG = {
    "preset": "smoke",
    "results": "results",
    "downloads": "downloads",
    "datasets": {"ade20k": {"train": 8, "test": 8}},
    "networks": {"baselines": {"pix2pixhd": {"lambda_vgg": 0.0}}},
    "models": {"pix2pixhd": {"steps": 2, "batch": 4}},
    "machine": {"gpus": 0},
    "jobs": {"here": ["pack"]},
}


@pytest.mark.skipif(
    not importlib.util.find_spec("snakemake_executor_plugin_cluster_generic"), reason="its plug-in is not installed"
)
def test_a_training_by_another_executor(tmp_path):
    """What is submitted runs in jobs, what is kept here beside Snakemake; each job reads what was submitted."""
    folder = clone(tmp_path)
    plan, *_ = resolve(load(CONFIG, ROOT / "config"))
    weights = next(a.path for a in plan.artefacts.values() if a.step == "train" and a.name == "pix2pixhd-ade20k_mask")
    snakemake(folder, CONFIG, "--profile", str(EXAMPLE), "--", weights)
    assert (folder / weights).is_file()
    jobs = list(folder.glob(".snakemake/cluster/*"))
    assert {(job / "code").read_text().strip() for job in jobs} == {"0"}
    said = [(job / "log").read_text() for job in jobs]
    assert sorted(rule for rule in ("draw_scenes", "pack", "train") if any(f"rule {rule}:" in log for log in said)) == [
        "draw_scenes",
        "train",
    ]
    assert len(jobs) == 2


def command(name: str, argument: str, folder: Path) -> str:
    """What one of the example's commands prints."""
    done = subprocess.run([ROOT / EXAMPLE / name, argument], cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("script", "ended", "end"), [("exit 0", "", "success"), ("exit 3", "", "failed"), ("sleep 60", "cancel", "failed")]
)
def test_the_examples_commands(script, ended, end, tmp_path):
    (tmp_path / "job").write_text(f"sleep 0.5\n{script}\n")
    job = command("submit", "job", tmp_path)
    assert command("status", job, tmp_path) == "running"
    if ended:
        command(ended, job, tmp_path)
    for _ in range(50):
        if (word := command("status", job, tmp_path)) != "running":
            break
        time.sleep(0.1)
    assert word == end
