"""Every golden case that a `cases_*.py` covers, and the rule itself."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.golden.check import Tolerance, compare, find, registry, run
from tests.golden.rule import load_cases, stream, weight

DATA = Path(__file__).parent / "data"
FUNCTIONS, TOLERANCES = registry()
COVERED = {case.name: case for case in load_cases(DATA) if find(FUNCTIONS, case.name)}


@pytest.mark.parametrize("name", COVERED)
def test_case(name):
    assert not run(COVERED[name], find(FUNCTIONS, name), find(TOLERANCES, name)).complaint


def test_only_what_is_out_of_scope_is_not_covered():
    uncovered = {case.name for case in load_cases(DATA)} - set(COVERED)
    assert uncovered == {"glide_inpaint", "glide_superres_inpaint", "glide_tokenizer"}


@pytest.mark.parametrize("case", load_cases(DATA), ids=lambda case: case.name)
def test_inputs_follow_their_recipes(case):
    for spec in case.entry["inputs"]:
        value = case.input(spec["name"])  # checks first values and sums itself
        assert (list(value.shape), str(value.dtype)) == (spec["shape"], spec.get("dtype", "float32"))


def test_rule():
    for check in json.loads((DATA / "cases.json").read_text())["rule"]["selfcheck"]:
        if check.get("unit_l2"):
            value = weight(check["name"], check["shape"], {"unit_l2": [check["name"]]})
            np.testing.assert_array_equal(value, np.float32(check["values"]))
        else:
            value = weight(check["name"], check["shape"], check)
            np.testing.assert_array_equal(value.ravel()[:4], np.float32(check["first"]))
            np.testing.assert_allclose(value.sum(dtype=np.float64), check["sum"], rtol=1e-6)


def test_compare_sees_what_it_must():
    want = stream("want", [3, 4])
    assert not compare(want * (1 + 1e-7), want, Tolerance(rel=1e-6)).complaint
    assert compare(want * (1 + 1e-5), want, Tolerance(rel=1e-6)).complaint
    assert compare(want * np.nan, want, Tolerance(rel=1e-6)).complaint
    small = want * np.array([[1e6], [1], [1]])
    off = small + np.array([[0], [0.1], [0]])
    assert not compare(off, small, Tolerance(rel=1e-6)).complaint
    assert compare(off, small, Tolerance(rel=1e-6), samples=True).complaint
