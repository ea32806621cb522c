"""The curves of the report: what was seen on validation pairs, and after how many minutes."""

import pytest
from tests.unit.report.page import made

from piti.report.curves import by_row, convergence, looks, minutes
from piti.store.chain import read_chain

ROWS = ("stage1", "two_stage")


def piece(start, end, seconds):
    return {"from": start, "to": end, "seconds": seconds, "device": "cpu"}


@pytest.fixture
def trained(tmp_path):
    """A stage of 10 steps in a minute, and a second one of two pieces that was looked at after 4 and 8 steps."""
    first = made(tmp_path / "models/stage1-ade/aaaaaaaaaa/weights", "train", {}, history=[piece(0, 10, 60)])
    second = made(
        tmp_path / "models/two_stage-ade/bbbbbbbbbb/weights",
        "train",
        {},
        {"init": [first]},
        history=[piece(0, 4, 60), piece(4, 8, 240)],
    )
    first.with_name("curve.csv").write_text("step,mse\n10,1\n")
    second.with_name("curve.csv").write_text("step,mse,validation_distance\n4,1,90\n6,1,\n8,1,70\n")
    links = {}
    read_chain(second, links)
    return links


def test_minutes_are_those_of_the_whole_chain(trained):
    second = next(link for link in trained.values() if link.name == "two_stage-ade")
    assert [minutes(second, trained, step) for step in (2, 4, 6, 8)] == [1.5, 2, 4, 6]
    assert minutes(second, trained) == 6


def test_what_was_seen_stands_at_its_minute(trained):
    [(row, line)] = looks(list(trained.values()), trained, ROWS)["ade", "distance"]
    assert row == "two_stage" and line.tolist() == [[2, 90], [6, 70]]
    assert convergence(list(trained.values()), trained, ROWS).startswith(b"\x89PNG")


def test_without_looks_there_is_no_figure(trained):
    assert convergence([link for link in trained.values() if link.name == "stage1-ade"], trained, ROWS) is None


def test_a_row_whose_name_begins_with_anothers_has_a_strip_of_its_own(tmp_path):
    """ "spade-large" is none of SPADE's trainings."""
    names = ("spade-ade", "spade-ade-25", "spade-large-ade", "prior")
    links = [read_chain(made(tmp_path / f"models/{n}/aaaaaaaaaa/w", "train", {"seed": 0}), {}) for n in names]
    found = by_row(links, ["spade", "spade-large", "prior"])
    assert {row: list(some) for row, some in found.items()} == {
        "prior": ["prior, seed 0"],
        "spade": ["ade, seed 0", "ade-25, seed 0"],
        "spade-large": ["ade, seed 0"],
    }
