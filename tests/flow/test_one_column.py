"""One column of a table, from nothing: Snakemake runs the whole chain, smaller than smoke.

Only the extractor's weights come from outside, from the package registry. Everything after the downloads runs without
a network, as on a compute node: in a network namespace of its own, where the kernel offers one.
"""

import csv
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RESULTS = "all results"  # a space in a name must not matter
STEPS = {"steps": 2, "batch": 4}
PLAIN = STEPS | {"degradation": False, "perceptual": "", "adversarial": ""}
CONFIG = {
    "preset": "smoke",
    "min_images": 8,
    "datasets": {"ade20k": {"train": 8, "test": 8}, "web": {"train": 8, "test": 1}},
    "models": {
        **dict.fromkeys(("prior_base", "prior_upsampler", "stage1", "continuation", "two_stage", "scratch"), STEPS),
        "upsampler": PLAIN,
        "scratch_upsampler": PLAIN | {"lr": 0.001},  # not what its row is like
    },
    "sampling": {"base_respacing": "2", "upsampler_respacing": "2"},
    "tables": {
        "column": {
            "title": "One column",
            "run": {"metric": "fid_c"},
            "rows": {"scratch": {"method": "scratch"}, "ours": {"method": "ours"}},
            "columns": {"ade20k_mask": {"task": "ade20k_mask"}},
            "paper": {},
        }
    },
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of what a fresh clone has, and of nothing that was made here."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("Snakefile", "DEVIATIONS.md", "rules", "config", "profiles", "envs", "src"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    return folder


def alone() -> list[str]:
    """What to put before a command that has no network, not even this machine's own; nothing where that is refused."""
    command = ["unshare", "--map-root-user", "--net"]
    return command if shutil.which("unshare") and not subprocess.run([*command, "true"]).returncode else []


ALONE = alone()


def snakemake(clone: Path, config: dict, *arguments: str, before: list[str] = ALONE) -> str:
    """Run Snakemake in the copy with these settings, as a user would; what it prints."""
    folders = {"results": str(clone / RESULTS), "downloads": str(clone / "downloads")}
    (clone / "mine.yaml").write_text(yaml.safe_dump(config | folders))
    command = [
        *before,
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "2",
        "--configfile",
        "mine.yaml",
        *arguments,
        "--",
        "column",
    ]
    done = subprocess.run(command, cwd=clone, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


def numbers(clone: Path) -> dict[str, float]:
    """Row -> its one number."""
    with open(clone / RESULTS / "column.csv", newline="") as file:
        _, *rows = csv.reader(file)
    return {row[0]: float(row[1].split()[0]) for row in rows}


def written(clone: Path) -> dict[Path, int]:
    """Every artefact and when it was written."""
    folders = ("data", "shards", "models", "weights", "sampled", "upsampled", "features", "scores", "tables")
    files = (file for folder in folders for file in (clone / RESULTS / folder).rglob("*") if file.is_file())
    return {file: file.stat().st_mtime_ns for file in files}


@pytest.mark.skipif(not ALONE, reason="this kernel gives no network namespace: the chain runs with the network there")
def test_the_chain_runs_without_network():
    """The next test would not notice if its steps had a network: this one does."""
    ask = "import socket; socket.create_connection(('127.0.0.1', 9), 5)"
    asked = subprocess.run([*ALONE, sys.executable, "-c", ask], capture_output=True, text=True)
    assert "Network is unreachable" in asked.stderr


def test_one_column_from_nothing_and_again(clone):
    snakemake(clone, CONFIG, "--until", "download", before=[])
    snakemake(clone, CONFIG)
    first, made = numbers(clone), written(clone)
    assert first.keys() == {"Ours", "Ours (from scratch)"}
    assert all(number > 0 for number in first.values())

    assert "Nothing to be done" in snakemake(clone, CONFIG)
    assert written(clone) == made

    snakemake(clone, CONFIG, "--report", "report.zip")
    with zipfile.ZipFile(clone / "report.zip") as report:
        assert "column.csv" in {name.rsplit("/")[-1] for name in report.namelist()}
        assert "One column. Our numbers" in report.read("report/report.html").decode()

    models = CONFIG["models"] | {"upsampler": PLAIN | {"lr": 0.005}}
    planned = snakemake(clone, CONFIG | {"models": models}, "--dry-run")
    jobs = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", planned, re.M)}
    steps = ("train", "upsample", "extract_features", "score", "make_table", "publish_table", "column")
    assert {rule: jobs[rule] for rule in jobs if rule != "total"} == dict.fromkeys(steps, 1)

    snakemake(clone, CONFIG | {"models": models})
    assert made.items() <= written(clone).items()  # whatever was there is there, the old weights too
    second = numbers(clone)
    assert second["Ours (from scratch)"] == first["Ours (from scratch)"]
    assert second["Ours"] != first["Ours"]

    trained = written(clone).keys() - made.keys()
    assert {file.name for file in trained if "models" in file.parts} >= {
        "weights.safetensors",
        "curve.csv",
        "card.json",
    }
    snakemake(clone, CONFIG)  # changing back remakes only the table
    assert numbers(clone) == first
