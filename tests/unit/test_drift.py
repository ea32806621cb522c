"""Drift: which data set is no longer what was packed, how many files, three examples, what to do."""

import errno
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from tests.unit.data.test_sources import draw
from tests.unit.test_cli import piti  # noqa: F401 (a fixture)

from piti.cli.drift import drifts
from piti.cli.making import make
from piti.config import load
from piti.data import sources
from piti.data.packing import pack
from piti.plan import Plan, resolve
from piti.plan.data import weights_of
from piti.store.download import forget
from piti.store.files import InputError, write_json

SHIPPED = Path(__file__).parents[2] / "config"
COUNT = 6


def plan(tmp_path, **user):
    entry = {"path": str(tmp_path / "data"), "scenes": None, "train": 4, "test": 2, "layout": "folder"}
    user = {"preset": "smoke", "results": str(tmp_path / "results"), "datasets": {"flickr": entry}} | user
    return resolve(load(user, SHIPPED))[0]


@pytest.fixture
def packed(tmp_path):
    """The plan of a user's own data, whose photographs are packed."""
    for number in range(COUNT):
        draw(tmp_path / f"data/images/{number}.jpg", number)
    found = plan(tmp_path)
    for artefact in found.artefacts.values():
        if artefact.step == "pack" and artefact.card.dataset == "flickr" and artefact.card.kind == "images":
            pack(artefact.card, artefact.given["root"], Path(artefact.path))
    return found


def test_data_that_fit_are_not_spoken_of(packed):
    assert list(drifts(packed)) == []


def test_replaced_photographs_are_named(packed, tmp_path):
    for number in range(COUNT):
        draw(tmp_path / f"data/images/{number}.jpg", 50)  # every one plain the same
    (drift,) = drifts(packed)
    assert drift.fatal
    for part in ("datasets.flickr: 6 photographs below", "(0 changed, 1 changed, 2 changed)", "another `version`"):
        assert part in drift.text


def test_new_and_lost_photographs_are_named(packed, tmp_path):
    (tmp_path / "data/images/0.jpg").rename(tmp_path / "data/images/9.jpg")
    (drift,) = drifts(packed)
    assert "0 gone" in drift.text and "9 new" in drift.text


def test_what_cannot_be_compared_is_said(packed, tmp_path):
    for damaged in (tmp_path / "results/shards").glob("flickr-*/*/*.sources.json"):
        damaged.write_text("{")
    (drift,) = drifts(packed)
    assert drift.fatal and "sources.json: not JSON" in drift.text


def test_data_that_are_gone_are_said_and_no_obstacle(packed, tmp_path):
    (tmp_path / "data").rename(tmp_path / "away")
    (drift,) = drifts(packed)
    assert not drift.fatal and "is gone" in drift.text


def test_a_split_that_is_gone_is_said_and_no_obstacle(packed, tmp_path):
    (tmp_path / "data/images").rename(tmp_path / "data/away")
    found = list(drifts(packed))
    assert found and not any(drift.fatal for drift in found)
    assert all("is used" in drift.text for drift in found)


def test_what_cannot_be_read_is_said_with_a_way_out(packed, tmp_path):
    (tmp_path / "data/images/0.jpg").unlink()
    (tmp_path / "data/images/0.jpg").symlink_to("0.jpg")  # which leads to itself
    (drift,) = drifts(packed)
    assert drift.fatal and "(0 unreadable)" in drift.text and "sources.json" in drift.text


def test_a_folder_that_cannot_be_read_is_said_with_a_way_out(packed, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "images":
            raise OSError(errno.EACCES, "denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    (drift,) = drifts(packed)
    assert drift.fatal and "denied" in drift.text and "sources.json" in drift.text


def test_a_photograph_that_cannot_be_read_is_one_that_differs(packed, tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "denied", str(path))

    monkeypatch.setattr(sources, "size_and_time", refuse)
    (drift,) = drifts(packed)
    assert drift.fatal and "(0 unreadable, 1 unreadable" in drift.text


def test_a_disk_that_cannot_be_written_is_no_obstacle(packed, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.EROFS, "read-only")

    for path in (tmp_path / "data/images").iterdir():
        os.utime(path)
    monkeypatch.setattr(sources, "write_text", full)
    assert list(drifts(packed)) == []


def test_what_else_was_made_from_the_old_photographs_is_named_but_for_models(tmp_path, packed):
    for number in range(COUNT):
        draw(tmp_path / f"data/images/{number}.jpg", 50)
    features = [a for a in packed.artefacts.values() if a.leg == "features" and a.name.startswith("flickr-test-images")]
    made = features + [a for a in packed.artefacts.values() if a.leg in ("sketches", "models") and "flickr" in a.name]
    for artefact in made:
        write_json(artefact.path, {})
    (drift,) = drifts(packed)
    named = drift.text.partition("rm -r ")[2].split()
    assert {a.leg for a in made} == {"sketches", "models", "features"}
    assert {str(Path(a.path).parent) for a in made if a.leg != "models"} < set(named)
    assert not any("/models/" in folder for folder in named)
    assert f"but for {sum(a.step == 'train' for a in made)} models" in drift.text


def test_weights_whose_file_is_another_are_named(tmp_path):
    source = tmp_path / "mine.pt"
    source.write_bytes(b"weights")
    plan = resolve(load({"results": str(tmp_path), "weights": {"glide_base": {"path": str(source)}}}, SHIPPED))[0]
    converted = next(a for a in plan.artefacts.values() if a.step == "convert_weights" and a.given)
    write_json(converted.path, {})
    write_json(Path(converted.path).with_name("card.json"), {"made": {"source": sources.stamp(source)}})
    assert list(drifts(plan)) == []
    source.write_bytes(b"others")
    (drift,) = drifts(plan)
    assert drift.fatal and f"weights.glide_base: {source} is not what" in drift.text
    source.unlink()
    assert list(drifts(plan)) == []


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Weights of the user's own, by name; and a function that says where they lie and gives the converted ones."""
    paths = {name: tmp_path / f"{name}.pt" for name in ("mine", "others")}
    for value, path in enumerate(paths.values()):
        values = torch.full((1 << 19,), float(value))
        values[: 1 << 18] = 0  # the first MiB of the two is the same, and so are their sizes
        torch.save({"encoder.x": values}, path)
        os.utime(path, (1, 1))

    def made(path):
        entry = {"released_coco_mask_base": {"path": str(path)}}
        config = load({"preset": "smoke", "results": str(tmp_path / "results"), "weights": entry}, SHIPPED)
        plan = Plan(config)
        return make(plan, weights_of(plan, "released_coco_mask_base"))

    made(paths["mine"])
    return paths, made


@pytest.mark.parametrize("how", ["other place", "swapped", "other bytes", "nowhere"])
def test_other_weights_are_never_used_silently(weights, how, tmp_path):
    (mine, other), made = weights[0].values(), weights[1]
    path = {"other place": other, "nowhere": tmp_path / "nope.pt"}.get(how, mine)
    if how == "other bytes":
        shutil.copyfile(other, mine)
        os.utime(mine, (2, 2))
    if how == "swapped":
        mine.rename(tmp_path / "between")
        other.rename(mine)
        os.utime(mine, (3, 3))
    with pytest.raises(InputError, match=r"weights.released_coco_mask_base.*\.pt"):
        made(path)


def test_weights_that_have_moved_are_the_same_and_that_is_remembered(weights, tmp_path, monkeypatch):
    (mine, _), made = weights[0].values(), weights[1]
    copied = tmp_path / "elsewhere.pt"
    shutil.copyfile(mine, copied)
    mine.unlink()
    assert made(mine) == made(copied)  # a file that is gone is no longer needed
    monkeypatch.setattr("piti.cli.drift.file_digest", lambda *_: pytest.fail("read again"))
    made(copied)


def test_weights_that_were_wrong_can_be_put_right(weights, tmp_path):
    """The line says what to type."""
    (mine, other), made = weights[0].values(), weights[1]
    shutil.copyfile(other, mine)
    with pytest.raises(InputError) as refusal:
        made(mine)
    folder, pin = re.search(r"rm -r (\S+); piti pins --forget (\S+)", str(refusal.value)).groups()
    shutil.rmtree(folder)
    forget(tmp_path / "results/weights/pins.json", pin)
    assert made(mine).exists()


def test_every_command_refuses_photographs_that_have_changed(packed, tmp_path):
    """What is measured, however far it is made already; but models stay as they were trained."""
    for artefact in packed.artefacts.values():
        if artefact.step not in ("pack", "convert_weights"):
            write_json(artefact.path, {})
    for number in range(COUNT):
        draw(tmp_path / f"data/images/{number}.jpg", 50)
    legs = ("features", "scores", "models")
    for made in (artefact for artefact in packed.artefacts.values() if artefact.leg in legs):
        below = packed.chain([made.path]).values()
        if made.leg == "models":
            assert make(packed, made)
        elif any(part.name.startswith("flickr-test-images") and part.step == "pack" for part in below):
            with pytest.raises(InputError, match=r"datasets.flickr: \d photographs"):
                make(packed, made)


def test_another_version_is_no_drift(packed, tmp_path):
    draw(tmp_path / "data/images/0.jpg", 50)
    entry = {"path": str(tmp_path / "data"), "scenes": None, "train": 4, "test": 2, "version": "2"}
    assert list(drifts(plan(tmp_path, datasets={"flickr": entry}))) == []


def test_other_archives_under_the_same_version_are_named(tmp_path):
    before = resolve(load({"results": str(tmp_path)}, SHIPPED))[0]
    shards = next(a for a in before.artefacts.values() if a.step == "pack" and a.card.dataset == "diode")
    write_json(shards.path, {})
    write_json(Path(shards.path).with_name("card.json"), {"card": {"archives": list(shards.card.archives)}})
    assert list(drifts(before)) == []
    other = {"diode": {"archives": {"val.tar.gz": {"digest": "md5:" + 32 * "0"}}}}
    (drift,) = drifts(resolve(load({"results": str(tmp_path), "datasets": other}, SHIPPED))[0])
    assert drift.fatal and "datasets.diode: 1 archives (val.tar.gz)" in drift.text


def test_status_says_it(piti, packed, tmp_path):  # noqa: F811
    entry = {"path": str(tmp_path / "data"), "scenes": None, "train": 4, "test": 2}
    user = {"preset": "smoke", "results": str(tmp_path / "results"), "datasets": {"flickr": entry}}
    write_json("mine.yaml", user)
    draw(tmp_path / "data/images/0.jpg", 50)
    assert "datasets.flickr: 1 photographs" in piti("status", "--configfile", "mine.yaml")
