"""The drawn data set: reproducible, exact, varied, and written as the real data sets are."""

import sys
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
from tests.unit.data.reading import read, scan

from piti import scenes
from piti.config.model import Scenes as Drawn
from piti.data.resize import shrink
from piti.datasets import classes
from piti.evaluate import frechet
from piti.scenes import captions
from piti.scenes.styles import STYLES
from piti.scenes.write import _coco_labels


@pytest.fixture(scope="module")
def many() -> scenes.Scenes:
    return scenes.render(0, np.arange(192), 32, "near")


def test_a_scene_depends_on_seed_and_index_alone():
    together = scenes.render(5, np.arange(40, 52), 64, "near")
    for index in (0, 7, 11):
        alone = scenes.render(5, [40 + index], 64, "near")
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_array_equal(a[index], b[0])
    other = scenes.render(6, np.arange(40, 52), 64, "near")
    assert all((a != b).any() for a, b in zip(together.image, other.image, strict=True))


def test_shapes_and_types(many):
    n, resolution = 192, 32
    found = [(part.shape, part.dtype) for part in many]
    assert found == [
        ((n, resolution, resolution, 3), np.uint8),
        ((n, resolution, resolution), np.uint8),
        ((n, resolution, resolution), np.uint8),
        ((n, resolution, resolution), np.float32),
        ((n, resolution, resolution), bool),
        ((n, resolution, resolution, 3), np.float32),
        ((n, scenes.LENGTH), np.uint8),
    ]


def test_geometry_is_exact(many):
    sky = np.isin(many.classes, (classes.SKY, classes.CLOUDS))
    np.testing.assert_array_equal(many.valid, ~sky)
    assert (many.depth[sky] == 0).all() and (many.normal[sky] == 0).all()
    assert many.depth[many.valid].min() > 0.5 and many.depth.max() <= 400
    np.testing.assert_allclose(np.linalg.norm(many.normal[many.valid], axis=-1), 1, atol=1e-5)
    # flat water and road look up; within a column of open ground, lower means nearer
    flat = np.isin(many.classes, (classes.ROAD, classes.WATER, classes.SEA))
    assert many.normal[flat][:, 1].min() > 0.97
    ground = many.classes == classes.SEA
    both = ground[:, 1:] & ground[:, :-1]
    assert (many.depth[:, 1:][both] <= many.depth[:, :-1][both]).all()


def test_a_scene_is_the_same_at_every_side():
    """Labels at 32 px are those at 96 px, seen at the same pixel centres, up to outlines and the finest texture."""
    small, large = (scenes.render(1, np.arange(48), resolution) for resolution in (32, 96))
    assert (small.classes == large.classes[:, 1::3, 1::3]).mean() > 0.95


def test_every_class_and_mood_occurs(many):
    assert set(np.unique(many.classes)) == set(range(len(scenes.CLASSES)))
    words = {scenes.VOCABULARY[t] for t in np.unique(many.tokens)} - {""}
    assert words == set(scenes.VOCABULARY) - {""}
    # varied: no two pictures are near each other
    flat = many.image.reshape(192, -1).astype(np.float32)
    distance = np.abs(flat[:, None, ::17] - flat[None, :, ::17]).mean(-1) + 255 * np.eye(192)
    assert distance.min() > 3


def test_task_is_narrower_than_near(many):
    task = scenes.render(0, np.arange(192), 32, "task")
    plain = captions.STYLES[0]
    assert all(plain in scenes.caption(t) for t in task.tokens)
    colour = [s.image.reshape(192, -1, 3).mean(1).std(0).mean() for s in (task, many)]
    assert colour[0] < colour[1]


def test_the_configuration_knows_every_world():
    assert get_args(get_type_hints(Drawn)["style"]) == tuple(STYLES)


@pytest.mark.parametrize("style", ["task", "near"])
def test_these_worlds_never_change(style):
    """worlds.npz was drawn before there were worlds at a distance; another processor may round a level otherwise."""
    drawn, kept = scenes.render(7, np.arange(24), 24, style), np.load(Path(__file__).with_name("worlds.npz"))
    assert np.abs(drawn.image.astype(int) - kept[f"{style}_image"]).max() <= 1
    np.testing.assert_array_equal(drawn.tokens, kept[f"{style}_tokens"])


@pytest.mark.parametrize("style", STYLES)
def test_a_world_lacks_the_classes_that_it_says_and_no_others(style):
    drawn, without = scenes.render(3, np.arange(512), 32, style), STYLES[style].without
    assert set(np.unique(drawn.classes)) == set(range(len(scenes.CLASSES))) - set(without)
    words = {scenes.VOCABULARY[t] for t in np.unique(drawn.tokens)}
    assert not words & {scenes.CLASSES[c].name for c in without}


@pytest.mark.parametrize("style", STYLES)
def test_captions_are_true_in_every_world(style):
    """A class that is named is there, a thing on the side and at the distance that are said."""
    drawn = scenes.render(4, np.arange(64), 32, style)
    for tokens, labels, depth in zip(drawn.tokens, drawn.classes, drawn.depth, strict=True):
        words = scenes.caption(tokens).split()
        for c, entry in enumerate(scenes.CLASSES):
            if entry.name not in words:
                continue
            there = labels == c
            assert there.mean() >= captions.LEAST
            if entry.thing:
                distance, side = words[words.index(entry.name) + 1 :][:2]
                assert distance == captions.DISTANCES[int(depth[there].mean() > captions.NEAR)]
                assert side == captions.SIDES[int(np.nonzero(there)[1].mean() * 3 / 32)]


def test_each_world_lies_further_from_the_task_than_the_one_before():
    def coarse(seed: int, style: str) -> np.ndarray:
        return shrink(scenes.render(seed, np.arange(256), 16, style).image, 4).reshape(256, -1).astype(float)

    task = coarse(1, "task")
    distances = [frechet.distance(task, coarse(2, style)) for style in STYLES]
    assert distances == sorted(distances), distances


def test_class_ids_are_the_official_ones():
    assert all(1 <= c.ade20k <= 150 and 0 <= c.coco_stuff <= 181 for c in scenes.CLASSES)
    assert len({c.coco_stuff for c in scenes.CLASSES}) == len(scenes.CLASSES) >= 12
    assert len({c.ade20k for c in scenes.CLASSES}) == len(scenes.CLASSES) - 1  # ADE20K: clouds are sky
    assert [c.name for c in scenes.CLASSES].index("tree") == classes.TREE
    assert [c.name for c in scenes.CLASSES].index("car") == classes.CAR == len(scenes.CLASSES) - 1


def test_caption_tells_what_is_there():
    labels = np.full((1, 20, 20), classes.SKY, np.uint8)
    labels[:, 10:] = classes.GRASS
    labels[:, 8:14, :5] = classes.HOUSE
    depth = np.where(labels == classes.HOUSE, 30, 5).astype(np.float32)
    tokens = captions.describe(np.array([[3, 2, 0, 0]]), labels, depth)
    assert scenes.caption(tokens[0]) == "winter dusk clear plain sky grass house far left"


def test_captions_survive_writing(many):
    for row in many.tokens:
        np.testing.assert_array_equal(scenes.encode(scenes.caption(row)), row)
    with pytest.raises(ValueError, match="vocabulary"):
        scenes.encode("summer noon unicorn")


@pytest.mark.parametrize("layout, num_classes", [("ade20k", 151), ("coco_stuff", 183), ("folder", 183), ("diode", 0)])
def test_written_scenes_are_read_back(tmp_path, layout, num_classes):
    scenes.write(tmp_path / "made", layout, 3, {"train": 6, "test": 4}, 32)
    drawn = scenes.render(2 * 3, np.arange(6), 32)
    train = scan(layout, tmp_path / "made", "train", test_count=4)
    test = scan(layout, tmp_path / "made", "test", test_count=4)
    assert (len(train), len(test)) == (6, 4)
    pictures = {read("images", r, 32).tobytes() for r in train + test}
    assert len(pictures) == 10  # train and test share nothing
    if layout == "folder":
        return
    for row, record in enumerate(train):
        error = read("images", record, 32).astype(int) - drawn.image[row]
        assert np.abs(error).mean() < 6  # JPEG
        if num_classes:
            ids = [(c.ade20k if layout == "ade20k" else c.coco_stuff + 1) for c in scenes.CLASSES]
            labels = read("mask", record, 32, layout, num_classes=num_classes)
            void = labels == 0
            assert void.mean() < 0.05 and void.any() == (layout == "coco_stuff")
            np.testing.assert_array_equal(labels[~void], np.array(ids)[drawn.classes[row]][~void])
        else:
            np.testing.assert_array_equal(np.load(record.parts["depth"])[..., 0], drawn.depth[row])
            np.testing.assert_array_equal(np.load(record.parts["normal"]), drawn.normal[row])
            np.testing.assert_array_equal(np.load(record.parts["depth_mask"]) > 0, drawn.valid[row])


def test_coco_labels_leave_corners_open():
    drawn = np.full((4, 4), classes.SKY, np.uint8)
    drawn[2:, 2:] = classes.TREE
    labels = _coco_labels(drawn)
    assert labels[2, 2] == 255 and (labels == 255).sum() == 1


def test_writing_is_all_or_nothing(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(sys.modules["piti.scenes.write"], "ade20k", broken)
    with pytest.raises(OSError):
        scenes.write(tmp_path / "made", "ade20k", 0, {"train": 2}, 16)
    assert list(tmp_path.iterdir()) == []
