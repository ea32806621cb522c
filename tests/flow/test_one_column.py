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
from tests.flow.clone import clone, snakemake

from piti.report.tables import DAGGER
from piti.store.files import read_json

RESULTS = "all results"  # a space in a name must not matter
STEPS = {"steps": 2, "batch": 4}
PLAIN = STEPS | {"degradation": False, "perceptual": "", "adversarial": ""}
CONFIG = {
    "preset": "smoke",
    "min_images": 8,
    "datasets": {
        "ade20k": {"train": 8, "test": 8, "validation": "unseen"},
        "unseen": {"like": "ade20k", "scenes": {"seed": 11}, "train": 0, "validation": ""},
        "web": {"scenes": {"seed": 5, "resolution": 64, "style": "near"}, "train": 8, "test": 1},
    },
    "models": {
        "prior_base": STEPS | {"weights": ""},  # trained here; the upsampler's ships
        **dict.fromkeys(("stage1", "continuation", "scratch", "estimator"), STEPS),
        "two_stage": STEPS | {"converge_from": 3, "steps": 3},
        "upsampler": PLAIN,
        "scratch_upsampler": PLAIN | {"lr": 0.001},  # not what its row is like
    },
    "methods": {"scratch": {"upsampler": "scratch_upsampler"}},
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
def folder(tmp_path_factory):
    return clone(tmp_path_factory.mktemp("clone"))


def alone() -> list[str]:
    """What to put before a command that has no network, not even this machine's own; nothing where that is refused."""
    command = ["unshare", "--map-root-user", "--net"]
    return command if shutil.which("unshare") and not subprocess.run([*command, "true"]).returncode else []


ALONE = alone()


def column(folder: Path, config: dict, *arguments: str, before: list[str] = ALONE) -> str:
    """Make the column with these settings; what Snakemake prints."""
    folders = {"results": str(folder / RESULTS), "downloads": str(folder / "downloads")}
    return snakemake(folder, config | folders, *arguments, "--", "column", before=before)


def numbers(folder: Path) -> dict[str, float]:
    """Row -> its one number."""
    with open(folder / RESULTS / "column.csv", newline="") as file:
        _, *rows = csv.reader(file)
    return {row[0]: float(row[1].rstrip(DAGGER)) for row in rows}


def written(folder: Path) -> dict[Path, int]:
    """Every artefact and when it was written."""
    legs = ("data", "shards", "models", "weights", "sampled", "upsampled", "features", "scores", "tables")
    files = (file for leg in legs for file in (folder / RESULTS / leg).rglob("*") if file.is_file())
    return {file: file.stat().st_mtime_ns for file in files}


def looked_at(folder: Path) -> None:
    """Ours was looked at on validation pairs until it ended, and its cell says whether it had converged."""
    (curve,) = (folder / RESULTS / "models" / "two_stage-ade20k_mask").glob("*/curve.csv")
    lines = list(csv.DictReader(curve.read_text().splitlines()))
    assert all(float(line["validation_distance"]) > 0 and line["validation_mean_iou"] for line in lines)
    converged = read_json(curve.with_name("card.json"))["made"]["converged"]
    assert len(lines) >= 3
    assert (DAGGER in (folder / RESULTS / "column.csv").read_text()) == (not converged)


@pytest.mark.skipif(not ALONE, reason="this kernel gives no network namespace: the chain runs with the network there")
def test_the_chain_runs_without_network():
    """The next test would not notice if its steps had a network: this one does."""
    ask = "import socket; socket.create_connection(('127.0.0.1', 9), 5)"
    asked = subprocess.run([*ALONE, sys.executable, "-c", ask], capture_output=True, text=True)
    assert "Network is unreachable" in asked.stderr


def test_one_column_from_nothing_and_again(folder):
    column(folder, CONFIG, "--until", "download", before=[])
    column(folder, CONFIG)
    first, made = numbers(folder), written(folder)
    assert first.keys() == {"Ours", "Ours (from scratch)"}
    assert all(number > 0 for number in first.values())
    looked_at(folder)
    logs = [log.read_bytes() for log in (folder / RESULTS / "logs").rglob("*.log")]
    assert logs and not any(b"\r" in log for log in logs)  # no bar

    assert "Nothing to be done" in column(folder, CONFIG)
    assert written(folder) == made

    column(folder, CONFIG, "--report", "report.zip")
    with zipfile.ZipFile(folder / "report.zip") as report:
        assert "column.csv" in {name.rsplit("/")[-1] for name in report.namelist()}
        assert "One column. Our numbers" in report.read("report/report.html").decode()

    models = CONFIG["models"] | {"upsampler": PLAIN | {"lr": 0.005}}
    planned = column(folder, CONFIG | {"models": models}, "--dry-run")
    jobs = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", planned, re.M)}
    steps = ("train", "upsample", "extract_features", "score", "make_table", "publish_table", "column")
    assert {rule: jobs[rule] for rule in jobs if rule != "total"} == dict.fromkeys(steps, 1)

    column(folder, CONFIG | {"models": models})
    assert made.items() <= written(folder).items()  # whatever was there is there, the old weights too
    second = numbers(folder)
    assert second["Ours (from scratch)"] == first["Ours (from scratch)"]
    assert second["Ours"] != first["Ours"]

    trained = written(folder).keys() - made.keys()
    assert {file.name for file in trained if "models" in file.parts} >= {
        "weights.safetensors",
        "curve.csv",
        "card.json",
    }
    column(folder, CONFIG)  # changing back remakes only the table
    assert numbers(folder) == first
