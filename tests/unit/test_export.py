"""`piti export` and `piti import`: what one person trained, another has, compared byte by byte."""

import errno
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from tests.unit.test_cli import CONFIG, piti, refused  # noqa: F401 (a fixture)

from piti.cli import export
from piti.config import load
from piti.plan import resolve
from piti.store.chain import BEHIND, not_converged
from piti.store.files import InputError, file_digest, write_json
from piti.store.lease import exclusive


@pytest.fixture
def models(piti):  # noqa: F811
    """Two trained models with their cards."""
    plan = resolve(load({"preset": "smoke"}, CONFIG))[0]
    found = [Path(a.path) for a in plan.artefacts.values() if a.step == "train"][:2]
    for path in found:
        path.parent.mkdir(parents=True)
        path.write_text(f"weights {path}")
        path.with_name("curve.csv").write_text("step\n")
        files = {name: file_digest(path.with_name(name)) for name in (path.name, "curve.csv")}
        write_json(path.with_name("card.json"), carded("train", path, {"files": files}))
    return found


def carded(step: str, path: Path, made: dict, **inputs: Path) -> dict:
    """What a card.json says."""
    inputs = {name: [str(one)] for name, one in inputs.items()}
    return {"step": step, "digest": path.parts[-2], "card": {}, "made": made, "inputs": inputs}


def taken(path: Path) -> Path:
    return Path("results/others", *path.parts[2:])


def into(piti, *arguments) -> str:  # noqa: F811
    Path("config/config.yaml").write_text("results: results/others\n")
    return piti("import", *arguments)


def trainings(plan: str) -> int:
    """Those to do, by the plan's first table."""
    return next(int(line.split()[2]) for line in plan.splitlines() if line.startswith("train "))


def test_models_arrive_whole_and_are_not_trained_again(piti, models):  # noqa: F811
    assert "2 artefacts in shared" in piti("export", "shared", "--legs", "models", "scores")
    assert os.system("cd shared && sha256sum -c --quiet SHA256SUMS") == 0
    shutil.copytree("shared", "sent")
    assert into(piti, "sent") == "2 artefacts now in results/others, 0 were there\n"
    for path in models:
        assert taken(path).read_bytes() == path.read_bytes()
        assert (path.with_name("exported.json")).exists()
        assert not taken(path).with_name("exported.json").exists()
    todo = trainings(piti("plan"))
    Path("config/config.yaml").write_text("results: results/none\n")
    assert trainings(piti("plan")) - 2 == todo
    assert into(piti, "sent") == "0 artefacts now in results/others, 2 were there\n"


def test_what_was_exported_before_is_exported_as_it_was(piti, models):  # noqa: F811
    """Who imports it has no second copy of these weights, so `piti gc` must not think so."""
    for folder in ("shared", "again"):
        piti("export", folder)
    assert Path("again/SHA256SUMS").read_text() == Path("shared/SHA256SUMS").read_text()
    assert not list(Path("again").rglob("exported.json"))


@pytest.mark.parametrize("converged", [True, False])
def test_a_score_that_comes_alone_says_whether_its_training_had_converged(piti, models, converged):  # noqa: F811
    """Verdicts are then what they were where it was trained. So they stay when it is passed on."""
    plan = resolve(load({"preset": "smoke"}, CONFIG))[0]
    score = next(Path(a.path) for a in plan.artefacts.values() if a.step == "score")
    features = next(Path(a.path) for a in plan.artefacts.values() if a.leg == "features")
    write_json(models[0].with_name("card.json"), carded("train", models[0], {"converged": converged}))
    for path, card in {
        features: carded("extract_features", features, {}, model=models[0]),
        score: carded("score", score, {"files": {}}, fake=features),
    }.items():
        path.parent.mkdir(parents=True)
        path.write_text("{}")
        write_json(path.with_name("card.json"), card)
    piti("export", "shared", "--legs", "scores")
    piti("export", "whole")
    for leg in ("models", "features"):
        shutil.rmtree(f"results/smoke/{leg}")
    into(piti, "shared")
    piti("export", "again", "--legs", "scores")
    for there in (taken(score), Path("again", *score.parts[2:])):
        assert [link.made for link in not_converged([there], True).values()] == [{"converged": False}] * (not converged)
    into(piti, "whole")
    piti("export", "whole again")
    assert not [*Path("whole").rglob(BEHIND), *Path("whole again").rglob(BEHIND)]  # the cards themselves are there
    taken(score).with_name(BEHIND).write_text('{"models": 1}')
    with pytest.raises(InputError, match=r"behind\.json: found something else, expected cards by address"):
        not_converged([taken(score)], True)


def test_where_somebody_works_nothing_is_imported(piti, models, capsys):  # noqa: F811
    piti("export", "shared")
    here = taken(models[1]).parent
    with exclusive(here):
        assert f"error: {here}: found it in use by process" in refused(capsys, into, piti, "shared")
        assert not (here / "card.json").exists()
    assert "now in results/others" in into(piti, "shared")


def test_a_disk_that_becomes_full_is_one_line(piti, models, capsys, monkeypatch):  # noqa: F811
    def full(source, *_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), source)

    monkeypatch.setattr(shutil, "copyfile", full)
    line = refused(capsys, piti, "export", "shared")
    assert re.fullmatch(r"error: results/\S+: .*No space left on device.*", line) and "[(" not in line
    assert not Path("shared").exists()


def test_results_that_nobody_can_write_to_are_exported(piti, models, monkeypatch):  # noqa: F811
    def refuse(path, *_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(export, "write_json", refuse)
    assert "2 artefacts in shared" in piti("export", "shared")


def test_what_is_half_made_here_is_taken_and_what_is_finished_is_not_replaced(piti, models):  # noqa: F811
    piti("export", "shared")
    half, finished = map(taken, models)
    for path in (half, finished):
        path.parent.mkdir(parents=True)
        path.write_text("ours")
    finished.with_name("card.json").write_text("{}")
    assert into(piti, "shared") == "1 artefacts now in results/others, 1 were there\n"
    assert half.read_bytes() == models[0].read_bytes() and finished.read_text() == "ours"


@pytest.mark.parametrize("name", ["weights.safetensors", "curve.csv", "card.json"])
def test_a_file_that_was_damaged_on_the_way_is_refused(piti, models, capsys, name):  # noqa: F811
    piti("export", "shared")
    with open(next(Path("shared").glob(f"models/*/*/{name}")), "ab") as file:
        file.write(b" ")
    assert f"{name}: found sha256" in refused(capsys, into, piti, "shared")
    assert not Path("results/others").exists()


def test_weights_that_are_not_those_of_their_card_are_refused(piti, models, capsys):  # noqa: F811
    models[0].write_text("other weights")
    piti("export", "shared")
    assert "by its card" in refused(capsys, into, piti, "shared")


@pytest.mark.parametrize(
    "line", ["models/../0123456789/x", "/etc/passwd", "models/a/0123456789/../../x", "models/a/0123456789/.x", "x"]
)
def test_a_list_that_leads_elsewhere_is_refused(piti, models, capsys, line):  # noqa: F811
    piti("export", "shared")
    with open("shared/SHA256SUMS", "a") as file:
        file.write(f"{64 * '0'}  {line}\n")
    assert "expected leg/name/digest/file" in refused(capsys, into, piti, "shared")


def test_a_card_of_something_else_is_refused(piti, models, capsys):  # noqa: F811
    piti("export", "shared")
    card = next(Path("shared").glob("models/*/*/card.json"))
    card.write_text(json.dumps(json.loads(card.read_text()) | {"digest": "0" * 10}))
    sums = Path("shared/SHA256SUMS")
    lines = [
        f"{file_digest(card)}  {card.relative_to('shared')}" if str(card.relative_to("shared")) in line else line
        for line in sums.read_text().splitlines()
    ]
    sums.write_text("\n".join(lines))
    assert "digest: found 0000000000" in refused(capsys, into, piti, "shared")


def test_nothing_to_export_and_a_folder_that_is_there_are_refused(piti, models, capsys):  # noqa: F811
    assert "none of scores made yet" in refused(capsys, piti, "export", "shared", "--legs", "scores")
    Path("there").mkdir()
    assert "found something there" in refused(capsys, piti, "export", "there")
