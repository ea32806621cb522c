"""`piti check`: what is said of a user's own data and numbers before anything runs."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from piti import __main__ as cli
from piti.cli.check import remarks, said_at_start, unreadable
from piti.config import load
from piti.plan import resolve
from piti.plan.cost import Costs

CONFIG = Path(__file__).parents[2] / "config"
RNG = np.random.default_rng(0)


def photographs(root: Path, count: int) -> Path:
    for i in range(count):
        path = root / f"images/{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (8, 8, 3), np.uint8)).save(path)
    return root


def plan(**user):
    return resolve(load({"preset": "smoke"} | user, CONFIG))[0]


def flickr(root: Path, **more) -> dict:
    return {"flickr": {"path": str(root), "num_classes": 0} | more}


def test_shipped_presets_have_nothing_to_remark():
    for preset in ("smoke", "mini", "paper"):
        assert list(remarks(plan(preset=preset))) == []


def test_a_folder_that_nothing_needs_is_named():
    """A data set without a table: nobody would see that its path is wrong."""
    mine = {"mine": {"like": "flickr", "scenes": None, "path": "/nope"}}
    assert list(remarks(plan(datasets=mine))) == [
        "datasets.mine.path: /nope: not looked at, for nothing that is asked for needs it"
    ]


def test_averages_that_are_their_start_are_named_with_the_number():
    found = list(remarks(plan(models={"scratch": {"steps": 100, "ema_rate": 0.9999}})))
    assert len(found) == 1 and found[0].startswith("scratch-")
    assert "ema_rate 0.9999 over 100 steps: 99% of the EMA weights is its random start" in found[0]
    trained = list(remarks(plan(models={"two_stage": {"steps": 100, "ema_rate": 0.9999}})))
    assert len(trained) == 1 and "99% of the EMA weights is what it starts from" in trained[0]
    assert not list(remarks(plan(models={"scratch": {"steps": 100, "ema_rate": 0.9}})))


def test_a_small_folder_is_said_before_any_training(tmp_path, capsys):
    found = list(remarks(plan(datasets=flickr(photographs(tmp_path, 20), train=50000, test=2000))))
    assert f"{tmp_path} (test): found 10 photographs, the full data set has 2000" in found
    assert f"{tmp_path} (train): found 10 photographs, the full data set has 50000" in found
    assert f"{tmp_path} (test): found 10 photographs: every score will be refused below 16 (min_images)" in found
    said_at_start(made := plan(datasets=flickr(tmp_path, train=50000, test=2000)), Costs(made))
    assert capsys.readouterr().err.count("note: ") == 3


def test_what_packing_would_refuse_is_said_too(tmp_path, capsys):
    nowhere = plan(datasets=flickr(tmp_path / "nowhere"))
    once = [f"{tmp_path}/nowhere/images: no such folder (expected layout folder)"]  # of two splits, three kinds
    assert unreadable(nowhere, read=False) == unreadable(nowhere, read=True) == once
    photographs(tmp_path, 60)
    for i in (3, 40):
        (tmp_path / f"images/{i}.png").write_text("no picture")
    assert not unreadable(plan(datasets=flickr(tmp_path)), read=False)
    found = unreadable(plan(datasets=flickr(tmp_path)), read=True)
    assert all(sum(f"images/{i}.png: not a whole image" in fault for fault in found) == 1 for i in (3, 40))


def test_reading_every_file_names_damage_that_the_decoder_survives(tmp_path, monkeypatch, capsys):
    photographs(tmp_path, 60)
    for i in (3, 40):
        path = tmp_path / f"images/{i}.jpg"
        Image.fromarray(RNG.integers(0, 256, (64, 64, 3), np.uint8)).save(path, quality=95)
        content = bytearray(path.read_bytes())
        content[len(content) // 2 : len(content) // 2 + 200] = bytes(200)
        path.write_bytes(content)
        path.with_suffix(".png").unlink()
    shutil.copytree(CONFIG, tmp_path / "config")
    (tmp_path / "weights").symlink_to(CONFIG.parent / "weights")
    monkeypatch.chdir(tmp_path)
    line = ["piti", "check", "--config", "preset=smoke", f"datasets={{flickr: {{path: {tmp_path}, num_classes: 0}}}}"]
    line.append("only={flickr_mask: []}")
    for read in ([], ["--read"]):
        monkeypatch.setattr(sys, "argv", [*line, *read])
        cli.main()
        said = [line for line in capsys.readouterr().out.splitlines() if "damaged, as libjpeg says" in line]
        assert all(sum(f"{i}.jpg" in line for line in said) == bool(read) for i in (3, 40))


def test_what_the_configuration_names_and_is_not_there_is_said(tmp_path):
    weights = {"efficientnet_lite0": {"path": "/no.pt"}}
    mine = {"mine": {"label": "Mine", "pictures": {"coco_mask": "/nowhere", "ade20k_mask": str(tmp_path)}}}
    rows = {"table1": {"rows": {"mine": {"method": "mine"}}}}
    found = unreadable(plan(weights=weights, methods=mine, tables=rows, study={"votes": "/no"}), read=False)
    assert found == [
        "methods.mine.pictures.coco_mask: /nowhere: no such file or folder",
        "weights.efficientnet_lite0.path: /no.pt: no such file or folder",
        "study.votes: /no: no such file or folder",
    ]


def test_places_that_may_not_be_looked_at_are_notes_and_no_traceback(tmp_path, capsys):
    """In a closed folder of somebody else's. A name that no disk takes stands for it: root may look into any."""
    closed = tmp_path / ("x" * 300)
    user = {"datasets": {"ade20k": {"path": str(closed), "scenes": None}}}
    user["weights"] = {"vgg16": {"path": str(closed), "url": [], "package": ""}}
    user["methods"] = {"mine": {"label": "Mine", "pictures": {"ade20k_mask": str(closed)}}}
    user["tables"] = {"table1": {"rows": {"mine": {"method": "mine"}}}}
    said_at_start(made := plan(**user), Costs(made))
    said = capsys.readouterr().err
    assert f"note: {closed}/images/training: cannot be read (File name too long)" in said
    assert f"note: methods.mine.pictures.ade20k_mask: {closed}: no such file or folder" in said
    assert f"note: weights.vgg16.path: {closed}: no such file or folder" in said


def test_the_command_ends_with_2_where_something_is_wrong(tmp_path, monkeypatch, capsys):
    shutil.copytree(CONFIG, tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    photographs(tmp_path, 60)
    (tmp_path / "weights").symlink_to(CONFIG.parent / "weights")
    line = ["piti", "check", "--config", "preset=smoke", f"datasets={{flickr: {{path: {tmp_path}, num_classes: 0}}}}"]
    monkeypatch.setattr(sys, "argv", line)
    cli.main()
    shutil.rmtree(tmp_path / "images")
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2 and "no such folder" in capsys.readouterr().err
