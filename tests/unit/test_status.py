"""`piti status` and `piti plan`: what trainings leave behind, and what is printed of it."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
from tests.unit.test_cli import piti, refused  # noqa: F401 (a fixture)
from tests.unit.train import tiny
from tests.unit.train.test_validation import CARD, Script, train

from piti.cards.base import to_dict
from piti.store.files import write_failure, write_json
from piti.train.loop import Stopped
from piti.train.run import Run


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return tiny.data(tmp_path_factory.mktemp("data"), 4)


def rows(printed: str) -> dict[str, str]:
    """Name of a training -> its line."""
    return {line.split()[0]: line for line in printed.splitlines()[1:] if "  " in line}


def progress(folder: Path) -> Path:
    (path,) = folder.glob("checkpoint-*/progress.json")
    return path


def test_a_training_leaves_word_of_itself(shards, tmp_path, monkeypatch):
    advance, seen = Run.advance, []

    def watched(run, batch):
        seen.append(json.loads(progress(tmp_path).read_text()))
        if run.step == 6:
            signal.raise_signal(signal.SIGTERM)
        advance(run, batch)

    monkeypatch.setattr(Run, "advance", watched)
    card = tiny.card(steps=8)
    with pytest.raises(Stopped):
        tiny.train(tmp_path, card, shards, log_every=2, save_minutes=0)
    assert [word["piece"]["to"] for word in seen] == [0, 1, 2, 3, 4, 5, 6]
    assert [word["saved"] for word in seen] == [0, 1, 2, 3, 4, 5, 6]
    assert seen[2]["losses"][-1].keys() == {"step", "mse", "vb"}
    last = json.loads(progress(tmp_path).read_text())
    assert (last["doing"], last["saved"], last["steps"]) == ("stopped", 7, 8)
    tiny.train(tmp_path, card, shards, log_every=2)
    assert json.loads(progress(tmp_path).read_text())["saved"] == 8


def test_status_tells_each_state(piti, shards):  # noqa: F811
    models = Path("results/smoke/models")
    done = tiny.train(models / "done-task", tiny.card(steps=2), shards)
    assert "trained, step 2 saved" in rows(piti("status"))["done-task"]  # no metadata yet
    card = {"card": to_dict(tiny.card(steps=2))}
    history = [{"from": 0, "to": 2, "seconds": 4, "host": "node1", "processes": 2, "job": "77", "save_seconds": 0.5}]
    write_json(done.with_name("card.json"), card | {"made": {"history": history}})
    write_json(models / "failed-task/0123456789/card.json", card | {"made": {"history": history}})
    write_failure([models / "failed-task/0123456789/weights.safetensors"], "diverged: mse")
    (models / "odd-task/0123456789").mkdir(parents=True)
    (models / "odd-task/0123456789/card.json").write_text("[]")
    piece = {"from": 100, "to": 300, "seconds": 50.0, "host": "node2", "processes": 1, "job": "", "device": "cpu"}
    losses = [{"step": 300, "mse": 0.25, "vb": 0.5, "perceptual": 1.0}]
    said = {"doing": "running", "saved": 200, "steps": 14700, "losses": losses, "piece": piece}
    write_json(models / "running-task/checkpoint-aaaaaaaaaa/progress.json", said)
    write_json(
        models / "new-task/checkpoint-aaaaaaaaaa/progress.json", said | {"losses": [], "piece": piece | {"to": 100}}
    )
    write_json(models / "stopped-task/checkpoint-aaaaaaaaaa/progress.json", said | {"doing": "stopped"})
    write_json(models / "killed-task/checkpoint-aaaaaaaaaa/progress.json", said)
    old = time.time() - 7200
    os.utime(models / "killed-task/checkpoint-aaaaaaaaaa/progress.json", (old, old))

    printed = piti("status")
    found = rows(printed)
    assert found["done-task"].endswith("node1 x2 job 77  done")
    assert " 12.5% " in found["done-task"]  # of its time went into saving
    assert " 0.5 " in found["done-task"]
    assert "mse" in found["done-task"]
    assert "2 of 2" in found["failed-task"] and "failed: diverged: mse" in found["failed-task"]
    assert "unreadable: " in found["odd-task"]
    for part in ("300 of 14,700", " 4 ", "1.0 h", "mse 0.25, vb 0.5", "node2", "running"):
        assert part in found["running-task"]
    assert "100 of 14,700" in found["new-task"] and found["new-task"].endswith("running")
    assert found["stopped-task"].endswith("stopped, step 200 saved")
    assert found["killed-task"].endswith("silent for 2.0 h, step 200 saved")
    *_, counts, left = printed.splitlines()
    summary = set(counts.partition(": ")[2].split(", "))
    assert summary >= {"1 done", "1 failed", "1 unreadable", "2 running", "1 stopped", "1 silent"}
    assert re.fullmatch(r"left: .* of one device \(A100-80, modelled\)", left)


@pytest.mark.parametrize("ahead", [-1e6, 1e6])
def test_a_living_training_is_not_silent_where_the_file_server_has_another_time(piti, monkeypatch, ahead):  # noqa: F811
    piece = {"from": 100, "to": 300, "seconds": 50.0, "host": "node2", "processes": 1, "job": "", "device": "cpu"}
    said = {"doing": "running", "saved": 200, "steps": 14700, "losses": [], "piece": piece}
    write_json("results/smoke/models/running-task/checkpoint-aaaaaaaaaa/progress.json", said)
    here = time.time
    monkeypatch.setattr(time, "time", lambda: here() + ahead)
    assert re.search(r" 1\.0 h .* node2 +running$", rows(piti("status"))["running-task"])


def test_a_training_that_diverged_is_told_once(piti, shards):  # noqa: F811
    """Its progress is not that of one that has fallen silent."""
    models, card = Path("results/smoke/models"), tiny.card(lr=1e30, steps=8)
    weights = tiny.train(models / "bad-task", card, shards, log_every=4)
    history = json.loads(progress(models / "bad-task").read_text())["piece"]
    write_json(weights.with_name("card.json"), {"card": to_dict(card), "made": {"history": [history]}})
    os.utime(progress(models / "bad-task"), (0, 0))
    told = [line for line in piti("status").splitlines() if line.startswith("bad-task")]
    assert len(told) == 1 and "4 of 8" in told[0] and "failed: diverged" in told[0]


def test_a_training_that_ends_early_is_told_once_and_with_its_own_steps(piti, shards, tmp_path):  # noqa: F811
    """While its pictures are looked at, of how many it may have; when it has converged, how many it took."""
    models, told = Path("results/smoke/models"), []

    def status() -> list[str]:
        return [" ".join(line.split()) for line in piti("status").splitlines() if line.startswith("row-task")]

    class Watched(Script):
        def __call__(self, weights: Path) -> dict[str, float]:
            told.append(status())
            return super().__call__(weights)

    said, weights = train(models / "row-task", shards, Watched(9.0, 8.0, 6.0, 5.0, 5.5))
    assert all(len(lines) == 1 and "looking, step" in lines[0] for lines in told)
    assert " 4 of 24 " in told[-2][0]
    write_json(weights.with_name("card.json"), {"card": to_dict(CARD), "made": said})
    (line,) = status()
    assert " 6 " in line and line.endswith("done") and "24" not in line


def test_status_of_nothing(piti):  # noqa: F811
    assert "waiting\nleft: " in piti("status")


def test_status_counts_shards_of_samples(piti):  # noqa: F811
    from piti.config import load
    from piti.plan import resolve

    plan, _, _ = resolve(load({"preset": "smoke"}, Path("config")))
    drawn = next(a for a in plan.artefacts.values() if a.step == "sample")
    Path(drawn.path).parent.mkdir(parents=True)
    assert f"sample {drawn.name}: 0 of 1 shards" in piti("status")
    Path(drawn.path).with_name("shard-00000.h5").touch()
    assert f"sample {drawn.name}: 1 of 1 shards" in piti("status")
    Path(drawn.path).touch()
    assert drawn.name + ":" not in piti("status")


# -- piti plan ---------------------------------------------------------------------------------------------------------


def columns(printed: str, name: str) -> list[str]:
    """Of the first line of that name: what is made by a rule stands before what each row of models takes."""
    line = next(line for line in printed.splitlines() if line.startswith(name + " "))
    return line.removeprefix(name).split()


def test_plan_works_with_nothing_there(piti):  # noqa: F811
    printed = piti("plan")
    assert columns(printed, "train")[0] == columns(printed, "train")[1] != "0"
    assert float(columns(printed, "ours / theirs")[0]) < 1
    assert "of one device (A100-80, modelled)" in printed
    assert columns(printed, "models")[1] == "0.00"
    assert not Path("results").exists()


def test_plan_and_status_say_the_same_hours(piti):  # noqa: F811
    Path("config/config.yaml").write_text("models: {scratch: {steps: 20_000_000}}")
    *_, hours, unit = columns(piti("plan"), "shared, once")
    assert unit == "h" and f"left: {hours} h of one device" in piti("status")


def test_plan_of_one_table(piti):  # noqa: F811
    printed = piti("plan", "table3a", "--gpu", "2 CPU cores")
    jobs, _, times = printed.partition("\ntime ")
    assert columns(jobs, "make_table") == columns(jobs, "table3a") == ["1", "1"]
    assert columns(jobs, "copy")[:2] == ["1", "1"] and "such as results/smoke/table3a.csv\n" in jobs
    assert "make_figure" not in printed
    assert "table1" not in printed
    assert columns(times, "table3a") == columns(times, "shared, once")
    assert "of one device (2 CPU cores, assumed)" in printed


def test_plan_names_what_is_missing(piti, capsys):  # noqa: F811
    Path("config/config.yaml").write_text("datasets: {ade20k: {path: /nowhere, scenes: null}, flickr: {scenes: null}}")
    printed = piti("plan")
    assert "missing: /nowhere, which the configuration names" in printed
    assert "missing: 9 cells of table1: no source configured" in printed
    assert "nearest valid name: table1" in refused(capsys, piti, "plan", "tabel1")
