"""`piti gc`: what nobody needs goes into the bin; what is needed, in use or young stays."""

import builtins
import errno
import gzip
import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest
from tests.unit.test_cli import CONFIG, piti, refused  # noqa: F401 (a fixture)

from piti.cards import TrainCard
from piti.config import load
from piti.plan import report, resolve, runs
from piti.store.files import write_failure, write_json
from piti.store.lease import exclusive

RESULTS = Path("results/smoke")
OLD = time.time() - 30 * 86400


def planned(**user):
    plan, *shown = resolve(load({"preset": "smoke"} | user, CONFIG))
    report(plan, *shown)
    return plan


def made(*folders: Path) -> list[Path]:
    """Folders with a file, all a month old."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "file").write_text("x")
        for path in (folder / "file", folder):
            os.utime(path, (OLD, OLD))
    return list(folders)


def everything(plan) -> list[Path]:
    """The folders of all that a plan makes, but for downloads."""
    found = [a for a in plan.artefacts.values() if a.leg != "downloads"]
    return [RESULTS / address for artefact in found for address in runs.addresses(artefact)]


def test_what_no_card_refers_to_goes_into_the_bin_and_nothing_else(piti):  # noqa: F811
    kept = made(*everything(planned())[:60])
    old = made(*(RESULTS / "models/two_stage-ade20k_mask" / name for name in ("0123456789", "checkpoint-0123456789")))
    apart = made(Path("results/downloads/x/0123456789"), RESULTS / "study/page", RESULTS / "logs/a/b")
    listed = piti("gc")
    assert all(f"{folder}: no configuration refers to it" in listed for folder in old)
    assert "in 2 folders; --delete moves them into the bin" in listed
    assert all(folder.exists() for folder in old)
    piti("gc", "--delete")
    assert not any(folder.exists() for folder in old)
    assert all((folder / "file").exists() for folder in [*kept, *apart])
    (binned,) = RESULTS.glob("bin/*/models/two_stage-ade20k_mask/0123456789/file")
    assert "in 0 folders" in piti("gc")
    piti("gc", "--empty")
    assert binned.exists()  # it has not been there long enough
    for age in ("-1", "nan"):  # whose comparisons would take all for old
        with pytest.raises(SystemExit):
            piti("gc", "--empty", "--age", age)
        assert binned.exists()
    assert "removed results/smoke/bin/" in piti("gc", "--empty", "--age", "0")
    assert not binned.exists()
    assert "results/downloads/x/0123456789: no configuration" in piti("gc", "--downloads")


def test_downloads_are_left_alone_wherever_this_configuration_keeps_its_own(piti, tmp_path):  # noqa: F811
    (theirs,) = made(Path("results/downloads/x/0123456789"))
    Path("config/config.yaml").write_text(f"results: results\ndownloads: {tmp_path}/mine\n")
    assert "in 0 folders" in piti("gc", "--delete", "--downloads")
    assert (theirs / "file").exists()


def test_a_download_of_a_run_that_is_remembered_elsewhere_is_kept(piti):  # noqa: F811
    """Of a paper run with an archive of its own, whose configuration is no preset's any more."""
    archives = {"flickr": {"path": None, "scenes": None, "archives": {"a.zip": {"url": ["https://example.org/a.zip"]}}}}
    plan = resolve(load({"datasets": archives}, Path("config")))[0]
    (theirs,) = [Path(a.path).parent for a in plan.artefacts.values() if a.leg == "downloads" and "a.zip" in a.path]
    made(theirs)
    assert f"{theirs}: no configuration refers to it" in piti("gc", "--downloads")
    runs.remember(plan)
    assert f"{theirs}: no configuration refers to it" not in piti("gc", "--downloads")


def test_one_address_twice_in_the_bin_of_a_day(piti):  # noqa: F811
    for content in ("first", "second"):
        (folder,) = made(RESULTS / "models/x/0123456789")
        (folder / content).write_text("x")
        for path in (folder / content, folder):
            os.utime(path, (OLD, OLD))
        piti("gc", "--delete")
    assert {path.name for path in RESULTS.glob("bin/*/models/x/*/*")} == {"file", "first", "second"}


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EACCES])
def test_what_cannot_be_moved_stays_and_the_others_go(piti, monkeypatch, number):  # noqa: F811
    stuck, other = made(RESULTS / "models/x/0123456789", RESULTS / "models/y/0123456789")
    rename = Path.rename

    def refuse(path, target):
        if path == stuck:
            raise OSError(number, os.strerror(number))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    listed = piti("gc", "--delete")
    assert f"{stuck}: stays, cannot be moved: {os.strerror(number)}" in listed and "in 1 folders, now" in listed
    assert stuck.exists() and not other.exists()


def test_a_run_of_another_version_is_asked_by_the_addresses_it_wrote(piti):  # noqa: F811
    other = planned(models={"two_stage": {"lr": 0.5}}, results=str(RESULTS))
    theirs = made(*sorted(set(everything(other)) - set(everything(planned()))))
    file = runs.remember(other)
    said = json.loads(gzip.decompress(file.read_bytes()))
    said["config"]["another"] = 1
    for artefact in said["artefacts"].values():
        artefact["card"]["another"] = 1
    file.write_bytes(gzip.compress(json.dumps(said).encode()))
    assert "in 0 folders" in piti("gc", "--delete", "--checkpoints")
    assert all(folder.exists() for folder in theirs)


def test_what_another_configuration_made_stays_until_it_is_forgotten(piti, capsys):  # noqa: F811
    other = planned(models={"two_stage": {"lr": 0.5}}, results=str(RESULTS))
    theirs = made(*sorted(set(everything(other)) - set(everything(planned()))))
    assert theirs
    write_json("theirs.yaml", {"models": {"two_stage": {"lr": 0.5}}, "preset": "smoke"})
    assert f"in {len(theirs)} folders" in piti("gc")
    assert "in 0 folders" in piti("gc", "--also", "theirs.yaml")
    run = runs.remember(other)
    listed = piti("gc", "--delete")
    assert "in 0 folders" in listed and f"kept for the smoke preset, {os.environ.get('USER', os.getuid())}" in listed
    assert all(folder.exists() for folder in theirs)
    assert "no such run" in refused(capsys, piti, "gc", "--forget", "nothing.json.gz")
    assert f"in {len(theirs)} folders" in piti("gc", "--forget", run.name)


def test_what_is_young_stays(piti):  # noqa: F811
    (folder,) = made(RESULTS / "models/x/0123456789")
    os.utime(folder / "file")
    assert f"{folder}: stays, younger than 7 days" in piti("gc", "--delete")
    assert folder.exists()
    piti("gc", "--delete", "--age", "0")
    assert not folder.exists()


@pytest.mark.parametrize("ahead", [-1e7, 1e7])
def test_young_and_old_are_what_the_file_server_calls_so(piti, monkeypatch, ahead):  # noqa: F811
    young, old = made(RESULTS / "models/x/0123456789", RESULTS / "models/y/0123456789")
    os.utime(young / "file")
    here = time.time
    monkeypatch.setattr(time, "time", lambda: here() + ahead)
    piti("gc", "--delete", "--empty")
    assert young.exists() and not old.exists()
    assert list(RESULTS.glob("bin/*/models/y/0123456789"))


def hold(folder, ready, over):
    with exclusive(folder):
        ready.set()
        over.wait(60)


def test_what_is_in_use_stays_however_old(piti):  # noqa: F811
    (folder,) = made(RESULTS / "models/x/checkpoint-0123456789")
    context = multiprocessing.get_context("fork")
    ready, over = context.Event(), context.Event()
    process = context.Process(target=hold, args=(folder, ready, over))
    process.start()
    ready.wait(60)
    try:
        assert f"{folder}: stays, in use by process {process.pid} of " in piti("gc", "--delete", "--age", "0")
        assert (folder / "file").exists()
    finally:
        over.set()
        process.join()
    piti("gc", "--delete", "--age", "0")
    assert not folder.exists()


def closed(monkeypatch, *paths: Path) -> None:
    """Have these belong to somebody else who lets nobody read them; root may read all."""
    for module, name in ((os, "listdir"), (builtins, "open")):
        original = getattr(module, name)

        def refuse(path, *arguments, original=original, **more):
            if Path(path).resolve() in [each.resolve() for each in paths]:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return original(path, *arguments, **more)

        monkeypatch.setattr(module, name, refuse)


def test_what_somebody_else_keeps_closed_stays_and_the_others_go(piti, training, monkeypatch):  # noqa: F811
    theirs, other = made(RESULTS / "models/x/0123456789", RESULTS / "models/y/0123456789")
    made(theirs / ".lease")
    closed(monkeypatch, theirs / ".lease", training[0] / "weights.safetensors")
    listed = piti("gc", "--delete", "--checkpoints")
    assert f"{theirs}: stays, its lease cannot be read: Permission denied" in listed
    assert theirs.exists() and not other.exists() and training[1].exists()


def test_what_goes_while_it_is_looked_at_is_no_obstacle(piti, monkeypatch):  # noqa: F811
    """Somebody who works there ends his lease."""
    (folder,) = made(RESULTS / "models/x/0123456789")
    lease, scandir = folder / ".lease", os.scandir
    lease.mkdir()

    def late(path="."):
        if Path(path).name == ".lease" and lease.exists():
            lease.rmdir()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", late)
    assert f"{folder}: stays, younger than 7 days" in piti("gc")


@pytest.fixture
def training(piti):  # noqa: F811
    """A finished training: its weights' folder and its state's."""
    artefact = next(a for a in planned().artefacts.values() if isinstance(a.card, TrainCard) and not a.card.baseline)
    weights, state = made(*(RESULTS / address for address in runs.addresses(artefact)))
    (weights / "file").rename(weights / "weights.safetensors")
    return weights, state


def test_states_go_by_a_flag_once_their_training_is_finished(piti, training):  # noqa: F811
    weights, state = training
    assert "in 0 folders" in piti("gc")
    assert f"{state}: its training is finished" in piti("gc", "--checkpoints")
    (weights / "weights.safetensors").rename(weights / "gone")
    assert "in 0 folders" in piti("gc", "--checkpoints")
    write_failure([weights / "weights.safetensors"], "diverged")
    assert "in 0 folders" in piti("gc", "--checkpoints")


def test_states_go_by_themselves_once_the_weights_were_exported(piti, training):  # noqa: F811
    weights, state = training
    write_json(weights / "exported.json", {})
    assert f"{state}: its training is finished, its weights exported" in piti("gc")
    Path("config/config.yaml").write_text("machine: {keep_checkpoints: true}\n")
    assert "in 0 folders" in piti("gc")
    assert "in 1 folders" in piti("gc", "--checkpoints")


def test_states_that_a_run_here_keeps_stay(piti, training):  # noqa: F811
    weights, state = training
    write_json(weights / "exported.json", {})
    assert f"{state}: its" in piti("gc")
    runs.remember(planned(machine={"keep_checkpoints": True}))
    assert "in 0 folders" in piti("gc")


def test_a_state_that_a_longer_training_goes_on_from_stays(piti, training):  # noqa: F811
    _, state = training
    name = state.parent.name.partition("-")[0]
    steps = load({"preset": "smoke"}, CONFIG).models[name].steps
    write_json("longer.yaml", {"preset": "smoke", "models": {name: {"steps": steps + 7}}})
    assert "in 1 folders" in piti("gc", "--checkpoints")
    assert "in 0 folders" in piti("gc", "--checkpoints", "--also", "longer.yaml")
