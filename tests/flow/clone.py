"""A clone of the project, and Snakemake run in it as a user would."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml
from tests.house import ROOT


def clone(folder: Path) -> Path:
    """A copy of what a fresh clone has, and of nothing that was made here."""
    for name in ("Snakefile", "DEVIATIONS.md", "rules", "config", "profiles", "envs", "src", "weights"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    return folder


def snakemake(folder: Path, config: dict, *arguments: str, before: Sequence[str] = ()) -> str:
    """Run Snakemake in the copy with these settings; what it prints. before: what stands in front of the command."""
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    command = [*before, sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "mine.yaml", *arguments]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout
