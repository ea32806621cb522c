"""A condition, a baseline and a measure of a plug-in go through the whole chain; the repository knows of none of
them.
"""

import csv
import shutil

from PIL import Image
from tests.flow.clone import clone, snakemake
from tests.house import ROOT

CONFIG = {
    "preset": "smoke",
    "plugins": ["toys"],
    "min_images": 8,
    "datasets": {"ade20k": {"train": 8, "test": 8}},
    "tasks": {"brightness": {"label": "Brightness", "dataset": "ade20k", "condition": "brightness"}},
    "models": {"toy": {"kind": "toy", "steps": 60, "batch": 4, "ema_rate": 0}},
    "networks": {"baselines": {"toy": {"lr_generator": 0.05}}},
    "methods": {"toy": {"label": "Toy", "generator": "toy"}},
    "tables": {
        "toys": {
            "title": "A plug-in's table",
            "run": {"task": "brightness"},
            "rows": {"toy": {"method": "toy"}, "real_images": {"method": "real_images"}},
            "columns": {"fid": {"metric": "fid_c"}, "levels": {"metric": "levels"}},
            "paper": {},
        }
    },
    "figures": {
        "toy_figure": {
            "title": "A plug-in's figure",
            "tasks": ["brightness"],
            "columns": ["condition", "toy", "real_image"],
            "images": 2,
        }
    },
}


def test_a_table_and_a_figure_with_somebody_elses_kinds(tmp_path):
    clone(tmp_path)
    for file in (ROOT / "tests/flow/toys").glob("*.py"):
        shutil.copy(file, tmp_path)
    snakemake(tmp_path, CONFIG, "--", "toys", "toy_figure")
    with open(tmp_path / "results/smoke/toys.csv", newline="") as file:
        found = {row["Method"]: row for row in csv.DictReader(file)}
    (fid, levels) = list(found["Toy"])[1:3]
    assert levels.endswith("levels ↓")
    real, toy = (float(found[row][levels].split()[0]) for row in ("Real images", "Toy"))
    assert real < 2  # two roundings
    assert real < toy < 60  # it has learnt something: grey alone is further away
    assert float(found["Toy"][fid].split()[0]) > 0
    with Image.open(tmp_path / "results/smoke/toy_figure.png") as figure:
        assert figure.width > 100
