"""What the paper's tables and figures take at the paper preset: trainings and sampling runs, and none twice."""

import re
from collections import Counter
from pathlib import Path

import pytest

from piti.config import load
from piti.plan import Plan, resolve

SHIPPED = Path(__file__).parents[2] / "config"
FLICKR = {"datasets": {"flickr": {"path": "/data/flickr"}}}  # without a source its column would not be made
LAST = {"two_stage": "base", "one_stage": "base", "scratch": "base", "oasis": "gan", "spade": "gan", "pix2pixhd": "gan"}


@pytest.fixture(scope="module")
def paper():
    return resolve(load(FLICKR, SHIPPED))


def rows(plan: Plan, *steps: str) -> Counter:
    """How often each row of models.yaml is trained, or used by a step."""
    names = [artefact.name for artefact in plan.artefacts.values() if artefact.step in steps]
    return Counter(re.split(r"-(?:ade20k|coco|flickr|diode)_", name)[0] for name in names)


def test_chains_are_the_57_of_the_facts(paper):
    """Facts 7, strict: 21 GANs, 17 chains of base models, 19 upsamplers.

    A chain counts once, by its last row: stage 1 and the continuation belong to two_stage, and the fixed decoder is the
    continuation's own checkpoint. Strict: from scratch and each share of the pairs train their own upsampler.
    """
    trained = rows(paper[0], "train")
    groups = Counter()
    for row, count in trained.items():
        groups["upsampler" if "upsampler" in row else LAST.get(row, "part of a chain, or measures")] += count
    assert (groups["gan"], groups["base"], groups["upsampler"]) == (21, 17, 19)
    assert trained["stage1"] == trained["continuation"] == trained["two_stage"] == 8  # six tasks, two shares
    assert trained["upsampler"] == trained["scratch_upsampler"] == 8
    others = {row for row in trained if row not in LAST and "upsampler" not in row}
    assert others == {"stage1", "continuation", "estimator"}
    assert trained["estimator"] == 4  # ours alone: three kinds of masks and geometry


def test_sets_of_pictures(paper):
    """Facts 7: 18 base sets, 21 upsampled, 21 of GANs; and the table of guidance (Figure 6) has four more of both.
    Real images go through the upsampler once."""
    plan, _, _ = paper
    made = {step: sum(rows(plan, step).values()) for step in ("sample", "upsample", "generate")}
    sweep = [a for a in plan.artefacts.values() if a.step in ("sample", "upsample") and a.card.sampling.guidance != 0.3]
    swept = Counter(a.step for a in sweep)
    others = {step: count - swept[step] for step, count in made.items()}
    assert others == {"sample": 18, "upsample": 21 + 1, "generate": 21}
    assert swept == {"sample": 4, "upsample": 4}


def test_shared_cells_are_one_run(paper):
    """ADE20K by ours: Table 1, the last rows of 3a and 3b, 100 % of 4, and FID-C in 5."""
    _, tables, _ = paper
    places = {
        "table1": ("Ours", "ADE20K"),
        "table3a": ("Two-stage finetune", "FID-C ↓"),
        "table3b": ("+ adversarial loss", "FID-C ↓"),
        "table4": ("100%", "Ours"),
        "table5": ("Ours", "ADE20K, FID-C ↓"),
    }
    found = {
        table: cell.scores
        for table, place in places.items()
        for cell in tables[table].card.cells
        if (cell.row, cell.column) == place
    }
    assert found.keys() == places.keys()
    assert len(set(found.values())) == 1 and len(found["table1"]) == 1
    paper_says = {c.paper for t, p in places.items() for c in tables[t].card.cells if (c.row, c.column) == p}
    assert paper_says == {"8.9"}


def test_table_5_is_table_1_by_two_networks(paper):
    tables = paper[1]
    one = {(c.row, c.column): (c.scores, c.paper) for c in tables["table1"].card.cells}
    five = {(c.row, c.column): (c.scores, c.paper) for c in tables["table5"].card.cells}
    assert len(five) == 2 * len(one) == 60
    assert one == {(row, column.removesuffix(", FID-C ↓")): v for (row, column), v in five.items() if "FID-C" in column}
