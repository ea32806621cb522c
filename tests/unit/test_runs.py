"""Runs: a plan is the same after it was written down and read back."""

import gzip
import json
from pathlib import Path

import pytest

from piti.cards import TrainCard, TrainingConfig
from piti.config import load
from piti.plan import report, resolve, runs
from piti.store.files import InputError

SHIPPED = Path(__file__).parents[2] / "config"
PRESETS = sorted(path.stem for path in (SHIPPED / "presets").glob("*.yaml"))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_run_is_read_back_as_it_was_planned(preset, tmp_path):
    user = {"preset": preset, "results": str(tmp_path), "datasets": {"flickr": {"path": "/data/x"}}}
    plan, *shown = resolve(load(user, SHIPPED))
    report(plan, *shown)
    found = runs.recall(runs.remember(plan))
    assert [getattr(found.config, key) for key in runs.JOBS] == [getattr(plan.config, key) for key in runs.JOBS]
    assert {key: found.artefact(*key) for key in plan.artefacts} == plan.artefacts
    assert found.artefact("train", "0123456789") is None


def test_the_same_run_is_remembered_once_and_others_beside_it(tmp_path):
    plans = [resolve(load({"results": str(tmp_path), "seeds": seeds}, SHIPPED))[0] for seeds in ([0], [0], [1])]
    first, again, other = map(runs.remember, plans)
    assert first == again != other
    assert {run.file for run in runs.recall_all(tmp_path)} == {first, other}


def rewritten(file: Path, change) -> runs.Remembered:
    """A run as another version would have written it down."""
    said = json.loads(gzip.decompress(file.read_bytes()))
    change(said)
    file.write_bytes(gzip.compress(json.dumps(said).encode()))
    return runs.recall(file)


@pytest.fixture
def run(tmp_path):
    plan, *_ = resolve(load({"preset": "smoke", "results": str(tmp_path)}, SHIPPED))
    key = next(key for key in plan.artefacts if key[0] == "train")
    return key, runs.remember(plan)


def test_keys_that_this_version_lacks_are_no_matter_where_they_are_not_read(run):
    key, file = run
    found = rewritten(file, lambda said: said["config"].update(another=1))
    assert found.config.preset == "smoke" and found.artefact(*key).digest == key[1]
    found = rewritten(file, lambda said: said["config"]["machine"].update(another=1))
    assert len(list(found.needed())) == len(found.artefacts) and "smoke preset" in str(found)
    with pytest.raises(InputError, match=rf"{file.name}: machine: unknown key 'another'"):
        _ = found.config


@pytest.mark.parametrize(
    ("change", "line"), [({"another": 1}, "unknown key 'another'"), ({"seed": 7}, "found a card of digest")]
)
def test_what_this_version_would_read_otherwise_is_refused(run, change, line):
    key, file = run
    found = rewritten(file, lambda said: said["artefacts"]["/".join(key)]["card"].update(change))
    with pytest.raises(InputError, match=rf"{file.name}: train/{key[1]}: {line}.*go back to the commit"):
        found.artefact(*key)


def test_a_changed_default_gives_no_other_card_under_the_same_digest(run):
    """What is written down has every value: a version with another default finds a value that is not its own."""
    key, file = run
    said = json.loads(gzip.decompress(file.read_bytes()))["artefacts"]["/".join(key)]["card"]
    assert said.keys() == TrainCard.__dataclass_fields__.keys()
    assert said["training"].keys() == TrainingConfig.__dataclass_fields__.keys()


@pytest.mark.parametrize("content", [b"", b"{}", b"\x1f\x8b half"])
def test_what_is_no_run_is_refused_by_name(tmp_path, content):
    (tmp_path / "x.json.gz").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.json\.gz: found no run"):
        runs.recall(tmp_path / "x.json.gz")
