"""Pictures made elsewhere: joined by name, counted, sized, or refused with all that is missing."""

import os

import numpy as np
import pytest
from PIL import Image

from piti.cards import GatherCard
from piti.data import shards
from piti.data.gathering import gather
from piti.data.shards import Shards
from piti.store.files import InputError

SIDE = 16
IDS = ["lakes/1", "lakes/2", "hills/3"]
RNG = np.random.default_rng(0)
CARD = GatherCard(content="", images="", resolution=SIDE, shard_size=2)


@pytest.fixture
def images(tmp_path):
    blank = np.zeros((len(IDS), SIDE, SIDE, 3), np.uint8)
    return shards.write(tmp_path / "images", "images", IDS, lambda ids: blank[: len(ids)], 10, SIDE)


def save(folder, names, resolution=SIDE):
    made = {}
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        made[name] = RNG.integers(0, 256, (resolution, resolution, 3), np.uint8)
        Image.fromarray(made[name]).save(path)
    return made


@pytest.mark.parametrize("names", [["lakes/1.png", "lakes/2.PNG", "hills/3.png"], ["1.png", "2.png", "3.png"]])
def test_pictures_are_joined_by_the_test_images_names(tmp_path, images, names):
    made = save(tmp_path / "mine", names)
    gather(CARD, tmp_path / "out/index.json", tmp_path / "mine", images)
    found = Shards(tmp_path / "out/index.json", "images")
    assert found.ids == IDS and "remarks" not in found.attributes
    np.testing.assert_array_equal(found[range(3)], list(made.values()))


def test_another_size_and_what_is_left_out_are_said(tmp_path, images, capsys):
    made = save(tmp_path / "mine", ["1.png", "2.png"])
    made |= save(tmp_path / "mine", ["3.png"], 40)
    save(tmp_path / "mine", ["4.png"])
    os.rename(tmp_path / "mine/4.png", os.fsencode(tmp_path) + b"/mine/Z\xfcrich.png")  # as old systems wrote it
    gather(CARD, tmp_path / "out/index.json", tmp_path / "mine", images)
    found = Shards(tmp_path / "out/index.json")
    expected = Image.fromarray(made["3.png"]).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(found[2], np.asarray(expected))
    left_out, resized = found.attributes["remarks"]
    assert left_out.endswith("left out, of no test image: 1 (Zürich.png)")
    assert resized.endswith("1 of 3 resized to 16×16, bicubic, from 40×40 pixels")
    assert resized in capsys.readouterr().err


def test_damage_that_the_decoder_survives_is_named(tmp_path, images, capsys):
    """Half of such a picture may be grey: a score of it says little of the method."""
    save(tmp_path / "mine", ["1.jpg", "2.png", "3.jpg"], 64)
    content = bytearray((tmp_path / "mine/3.jpg").read_bytes())
    content[-600:-400] = bytes(200)
    (tmp_path / "mine/3.jpg").write_bytes(content)
    gather(CARD, tmp_path / "out/index.json", tmp_path / "mine", images)
    said = f"{tmp_path}/mine: damaged, as libjpeg says, and read all the same: 1 (3.jpg)"
    assert said in Shards(tmp_path / "out/index.json").attributes["remarks"]
    assert said in capsys.readouterr().err


def test_all_that_is_missing_is_named_at_once(tmp_path, images, capsys):
    save(tmp_path / "mine", ["1.png"])
    with pytest.raises(InputError, match=r"found no picture of 2 \(hills/3, lakes/2\) of 3 test images"):
        gather(CARD, tmp_path / "out/index.json", tmp_path / "mine", images)
    save(tmp_path / "mine", ["2.png"])
    (tmp_path / "mine/1.png").write_text("text")
    with pytest.raises(InputError, match="found 2 faults"):
        gather(CARD, tmp_path / "out/index.json", tmp_path / "mine", images)
    said = capsys.readouterr().err
    assert "1.png: not a whole image" in said and "no picture of 1 (hills/3)" in said
    save(tmp_path / "mine", ["2.png"], 64)
    (tmp_path / "mine/2.png").write_bytes((tmp_path / "mine/2.png").read_bytes()[:-2000])  # its size is still there
    with pytest.raises(InputError, match="found 3 faults"):
        gather(CARD, tmp_path / "out/index.json", tmp_path / "mine", images)
    assert "2.png: not a whole image" in capsys.readouterr().err
    assert not (tmp_path / "out/index.json").exists()


def test_a_picture_that_breaks_off_is_refused(tmp_path, images):
    save(tmp_path / "mine", ["1.png", "2.png", "3.png"], 64)
    path = tmp_path / "mine/3.png"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"3\.png: not a whole image"):
        gather(CARD, tmp_path / "out/index.json", tmp_path / "mine", images)
