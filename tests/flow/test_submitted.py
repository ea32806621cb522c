"""A job that was submitted does what was submitted: its own Snakemake starts later, under another configuration."""

import os
import subprocess
import sys

from tests.house import ROOT

from piti.config import load
from piti.plan import resolve, runs

SUBMITTED = {"preset": "smoke", "code_in_card": False, "datasets": {"ade20k": {"train": 3, "test": 2}}}


def job(artefact, submitted, *settings: str) -> subprocess.CompletedProcess:
    """What a cluster's job starts, for one artefact, with the settings that Snakemake finds by then."""
    wildcards = f"draw_scenes:name={artefact.name},digest={artefact.digest}"
    line = [sys.executable, "-m", "snakemake", "--mode", "remote", "--nolock", "--cores", "1", "--force"]
    line += ["--target-jobs", wildcards, "--allowed-rules", "draw_scenes", "--config", *settings]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PITI_RUN": str(submitted)}
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def test_a_submitted_job_does_its_work_under_another_configuration(tmp_path):
    folders = {"results": str(tmp_path / "results"), "downloads": str(tmp_path / "downloads")}
    plan, _, _ = resolve(load(SUBMITTED | folders, ROOT / "config"))
    drawn = next(a for a in plan.artefacts.values() if a.step == "draw_scenes" and a.name == "ade20k")
    done = job(drawn, runs.remember(plan), "preset=paper", f"results={tmp_path}/others")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "results").glob(f"data/ade20k/{drawn.digest}/drawn/*/images/training/*.jpg"))) == 3
    assert not (tmp_path / "others").exists()


def test_code_that_has_changed_since_does_the_work_that_was_submitted(tmp_path):
    """Where the code is part of a card, another checkout plans other digests."""
    folders = {"results": str(tmp_path / "results"), "downloads": str(tmp_path / "downloads")}
    plan, _, _ = resolve(load(SUBMITTED | folders, ROOT / "config"))
    drawn = next(a for a in plan.artefacts.values() if a.step == "draw_scenes" and a.name == "ade20k")
    object.__setattr__(plan.config, "code_in_card", True)  # the job's Snakemake plans with code, this one did without
    done = job(drawn, runs.remember(plan), "preset=paper")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / f"results/data/ade20k/{drawn.digest}/drawn").is_dir()
