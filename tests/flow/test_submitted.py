"""A job that was submitted does what was submitted: its own Snakemake starts later, under another configuration."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house import ROOT

from piti.config import load
from piti.plan import resolve, runs

SUBMITTED = {"preset": "smoke", "code_in_card": False, "datasets": {"ade20k": {"train": 3, "test": 2}}}


def job(artefact, submitted, *settings: str, root: Path = ROOT) -> subprocess.CompletedProcess:
    """What a cluster's job starts, for one artefact, with the settings that Snakemake finds by then."""
    wildcards = f"draw_scenes:name={artefact.name},digest={artefact.digest}"
    line = [sys.executable, "-m", "snakemake", "--mode", "remote", "--nolock", "--cores", "1", "--force"]
    line += ["--target-jobs", wildcards, "--allowed-rules", "draw_scenes", *settings]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PITI_RUN": str(submitted)}
    return subprocess.run(line, cwd=root, env=environment, capture_output=True, text=True, timeout=120)


def test_a_submitted_job_does_its_work_under_another_configuration(tmp_path, monkeypatch):
    """And asks for what was submitted: the limit of its time is one that it reads. A job that gave its GPUs back comes
    again: what somebody else has made meanwhile it leaves alone, where its Snakemake would begin by removing that."""
    folders = {"results": str(tmp_path / "results"), "downloads": str(tmp_path / "downloads")}
    plan, _, _ = resolve(load(SUBMITTED | folders | {"jobs": {"default": {"runtime": 77}}}, ROOT / "config"))
    drawn = next(a for a in plan.artefacts.values() if a.step == "draw_scenes" and a.name == "ade20k")

    def again() -> tuple[subprocess.CompletedProcess, tuple[int, int]]:
        done = job(drawn, runs.remember(plan), "--config", "preset=paper", f"results={tmp_path}/others")
        return done, (Path(drawn.path).stat().st_ino, Path(drawn.path).with_name("card.json").stat().st_mtime_ns)

    done, made = again()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "runtime=77" in done.stdout + done.stderr
    assert len(list((tmp_path / "results").glob(f"data/ade20k/{drawn.digest}/synthetic/*/images/training/*.jpg"))) == 3
    assert not (tmp_path / "others").exists()
    for forced in (False, True):
        if forced:
            monkeypatch.setenv("PITI_FORCED", "1")
        done, found = again()
        assert done.returncode == 0, done.stdout + done.stderr
        assert (found == made) != forced and (f"already made: {drawn.path}" in done.stderr) != forced


def test_code_that_has_changed_since_does_the_work_that_was_submitted(tmp_path):
    """Where the code is part of a card, another checkout plans other digests."""
    folders = {"results": str(tmp_path / "results"), "downloads": str(tmp_path / "downloads")}
    plan, _, _ = resolve(load(SUBMITTED | folders, ROOT / "config"))
    drawn = next(a for a in plan.artefacts.values() if a.step == "draw_scenes" and a.name == "ade20k")
    object.__setattr__(plan.config, "code_in_card", True)  # the job's Snakemake plans with code, this one did without
    done = job(drawn, runs.remember(plan), "--config", "preset=paper")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / f"results/data/ade20k/{drawn.digest}/synthetic").is_dir()


def test_a_submitted_job_and_its_step_have_the_plugins(tmp_path, monkeypatch):
    root = checkout(tmp_path)
    (root / "submitted_plugin.py").write_text("import sys\nopen('loaded', 'a').write(f'{sys.argv[0]}\\n')")
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "path", [*sys.path])
    folders = {"results": str(tmp_path / "results"), "downloads": str(tmp_path / "downloads")}
    plan, _, _ = resolve(load(SUBMITTED | folders | {"plugins": ["submitted_plugin"]}, ROOT / "config"))
    del sys.modules["submitted_plugin"]
    (root / "loaded").unlink()
    drawn = next(a for a in plan.artefacts.values() if a.step == "draw_scenes" and a.name == "ade20k")
    done = job(drawn, runs.remember(plan), root=root)
    assert done.returncode == 0, done.stdout + done.stderr
    snakemake, step = (root / "loaded").read_text().splitlines()
    assert "snakemake" in snakemake and "draw_scenes" in step


def checkout(folder: Path) -> Path:
    """All that a job needs, but for the configuration file."""
    root = folder / "checkout"
    shutil.copytree(ROOT / "config", root / "config", ignore=shutil.ignore_patterns("config.yaml"))
    for name in ("Snakefile", "rules", "src", "envs"):
        (root / name).symlink_to(ROOT / name)
    return root


@pytest.mark.parametrize("by_then", ["preset: [smoke", None])
def test_a_submitted_job_does_not_ask_the_configuration_file(tmp_path, by_then):
    """Half edited, or gone."""
    folders = {"results": str(tmp_path / "results"), "downloads": str(tmp_path / "downloads")}
    plan, _, _ = resolve(load(SUBMITTED | folders, ROOT / "config"))
    drawn = next(a for a in plan.artefacts.values() if a.step == "draw_scenes" and a.name == "ade20k")
    root = checkout(tmp_path)
    if by_then is not None:
        (root / "config/config.yaml").write_text(by_then)
    done = job(drawn, runs.remember(plan), root=root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / f"results/data/ade20k/{drawn.digest}/synthetic").is_dir()
