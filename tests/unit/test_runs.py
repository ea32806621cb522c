"""Runs: a plan is the same after it was written down and read back."""

from pathlib import Path

import pytest

from piti.config import load
from piti.files import InputError
from piti.plan import report, resolve, runs

SHIPPED = Path(__file__).parents[2] / "config"
PRESETS = sorted(path.stem for path in (SHIPPED / "presets").glob("*.yaml"))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_run_is_read_back_as_it_was_planned(preset, tmp_path):
    user = {"preset": preset, "results": str(tmp_path), "datasets": {"flickr": {"path": "/data/x"}}}
    plan, *shown = resolve(load(user, SHIPPED))
    report(plan, *shown)
    found = runs.recall(runs.remember(plan))
    assert found.config == plan.config
    assert {key: found.artefact(*key) for key in plan.artefacts} == plan.artefacts
    assert found.artefact("train", "0123456789") is None


def test_the_same_run_is_remembered_once_and_others_beside_it(tmp_path):
    plans = [resolve(load({"results": str(tmp_path), "seeds": seeds}, SHIPPED))[0] for seeds in ([0], [0], [1])]
    first, again, other = map(runs.remember, plans)
    assert first == again != other
    assert {run.file for run in runs.recall_all(tmp_path)} == {first, other}


@pytest.mark.parametrize("content", [b"", b"{}", b"\x1f\x8b half"])
def test_what_is_no_run_is_refused_by_name(tmp_path, content):
    (tmp_path / "x.json.gz").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.json\.gz: found no run"):
        runs.recall(tmp_path / "x.json.gz")
