"""COCO's instance annotations: drawn as COCO means them, read once, refused in one line, packed with the rest."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from tests.unit.data.reading import read, scan

from piti import scenes
from piti.cards import PackCard
from piti.data.packing import pack
from piti.data.shards import Shards
from piti.datasets import classes, instances, layouts
from piti.scenes.write import _run_lengths
from piti.store.files import InputError

SIZE = 8, 6  # width, height
SQUARE = [1.0, 1.0, 3.9, 1.0, 3.9, 3.9, 1.0, 3.9]  # pixels 1..3 both ways


def drawn(*segmentations):
    polygons = [s if isinstance(s, dict) else [np.reshape(p, (-1, 2)) for p in s] for s in segmentations]
    return instances.draw(polygons, SIZE)


# -- drawing ---------------------------------------------------------------------------------------------------------


def test_polygons_fill_the_pixels_whose_centres_they_enclose():
    expected = np.zeros(SIZE[::-1], np.uint8)
    expected[1:4, 1:4] = 1
    np.testing.assert_array_equal(drawn([SQUARE]), expected)


@pytest.mark.parametrize(
    "polygon, official",  # areas by pycocotools 2.0.11
    [
        ([5, 5, 15, 5, 15, 15, 5, 15], 100),
        ([1, 1, 4, 1, 4, 4, 1, 4], 9),
        ([2.3, 1.1, 30.7, 4.4, 12.5, 33.3], 440),
        ([-5, -5, 10, -5, 10, 10, -5, 10], 100),
    ],
)
def test_a_polygon_has_its_official_area(polygon, official):
    corners = np.reshape(np.array(polygon, np.float32), (-1, 2))
    found = instances.draw([[corners]], (50, 40))
    assert abs((found > 0).sum() - official) <= 0.005 * official  # its corners are rounded to a fifth of a pixel
    np.testing.assert_array_equal(instances.draw([[corners[::-1]]], (50, 40)), found)  # whichever way it turns


def test_a_later_instance_lies_on_top_and_parts_share_a_number():
    apart = [6.0, 0.0, 8.0, 0.0, 8.0, 6.0, 6.0, 6.0]  # reaches the picture's very edges
    runs = {"size": [6, 8], "counts": [6 * 2 + 2, 3, 6 * 8 - 17]}  # column 2, rows 2..4
    expected = np.zeros(SIZE[::-1], np.uint8)
    expected[1:4, 1:4] = 1
    expected[:, 6:] = 1
    expected[2:5, 2] = 2
    np.testing.assert_array_equal(drawn([SQUARE, apart], runs), expected)


def test_overlapping_parts_leave_no_hole():
    np.testing.assert_array_equal(drawn([SQUARE, SQUARE]), drawn([SQUARE]))


def test_a_corner_far_outside_stays_in_the_picture():
    assert (drawn([[-1e30, -1e30, 1e30, -1e30, 1e30, 1e30, -1e30, 1e30]]) == 1).all()


@given(arrays.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_run_lengths_are_undone(mask):
    height, width = mask.shape
    np.testing.assert_array_equal(instances.decode(_run_lengths(mask), width, height), mask)


def test_compressed_run_lengths_are_those_of_cocos_own_tools():
    """A disc with a hole, encoded by pycocotools 2.0.11."""
    y, x = np.mgrid[:40, :50]
    mask = ((x - 20) ** 2 + (y - 18) ** 2 < 150) & ~((x - 22) ** 2 + (y - 20) ** 2 < 20)
    encoding = {
        "size": [40, 50],
        "counts": "`:5P16K4M2N2N2O0O2O000OFCL<2HL84HL83JL64JL73IL85FL:4FL;5AL`0>1N2N2N3L5Jkd0",
    }
    np.testing.assert_array_equal(instances.decode(encoding, 50, 40), mask)


@pytest.mark.parametrize(
    "encoding, words",
    [
        ({"size": [8, 6], "counts": [48]}, r"size \[8, 6\], expected \[6, 8\]"),
        ({"size": [6, 8], "counts": [40]}, "expected whole numbers for 48 pixels"),
        ({"size": [6, 8], "counts": [-2, 50]}, "expected whole numbers"),
        ({"size": [6, 8], "counts": [47.5, 0.5]}, "expected whole numbers"),
        ({"size": [6, 8], "counts": "0"}, "expected whole numbers"),
        ({"size": [6, 8], "counts": []}, "expected whole numbers"),
        ({"size": [6, 8], "counts": [[48], 1]}, "."),
        ({"size": [6, 8]}, "expected whole numbers"),
        ({}, "size None"),
    ],
)
def test_run_lengths_that_do_not_fit(encoding, words):
    with pytest.raises(ValueError, match=words):
        drawn(encoding)


def test_a_byte_holds_255_instances():
    assert drawn(*[[SQUARE]] * 255).max() == 255
    with pytest.raises(ValueError, match="found 256 instances, expected at most 255"):
        drawn(*[[SQUARE]] * 256)


# -- reading ---------------------------------------------------------------------------------------------------------


def coco(root, *, size=SIZE, annotations=None, text=None):
    """A split of two photographs, annotations for the first, and its records."""
    (root / "train2017").mkdir()
    (root / "annotations").mkdir()
    for name in ("000000000007", "000000000009"):
        Image.new("RGB", SIZE).save(root / f"train2017/{name}.jpg")
    if annotations is None:
        annotations = [{"image_id": 7, "segmentation": [SQUARE]}]
    names = {7: "000000000007.jpg", 9: "000000000009.jpg"}
    images = [{"id": i, "file_name": name, "width": size[0], "height": size[1]} for i, name in names.items()]
    content = json.dumps({"images": images, "annotations": annotations}) if text is None else text
    (root / "annotations/instances_train2017.json").write_text(content)
    return scan("coco_stuff", root, "train")


def test_reading_brings_the_map_to_its_side_like_labels(tmp_path):
    records = coco(tmp_path)
    whole = Image.fromarray(drawn([SQUARE]))
    for resolution in (4, 6, 16):
        expected = np.asarray(whole.resize((resolution, resolution), Image.Resampling.NEAREST))
        np.testing.assert_array_equal(read("instances", records[0], resolution, "coco_stuff"), expected)
    assert not read("instances", records[1], 6, "coco_stuff").any()  # without annotations: no instances


@pytest.mark.parametrize("names", [("COCO_train2014_000000000007.jpg", "COCO_train2014_000000000009.jpg"), ()])
def test_annotations_of_other_photographs_are_refused(tmp_path, names):
    images = [{"id": i, "file_name": name, "width": 8, "height": 6} for i, name in enumerate(names)]
    records = coco(tmp_path, text=json.dumps({"images": images, "annotations": []}))
    with pytest.raises(
        InputError, match=r"found (2 others, such as COCO_train2014_0+7|no photograph at all), expected"
    ):
        read("instances", records[0], 6, "coco_stuff")


def test_a_split_is_read_once(tmp_path):
    records = coco(tmp_path)
    read("instances", records[0], 6, "coco_stuff")
    records[0].parts["instances"].unlink()
    assert read("instances", records[0], 6, "coco_stuff").any()


@pytest.mark.parametrize(
    "case, words",
    [
        ({"text": "{"}, r"not COCO's instance annotations \(JSONDecodeError"),
        ({"text": "[]"}, "not COCO's instance annotations"),
        ({"text": "{}"}, "not COCO's instance annotations .*'images'"),
        ({"annotations": [{"image_id": 7}]}, "not COCO's instance annotations .*'segmentation'"),
        ({"annotations": [{"image_id": 8, "segmentation": []}]}, "not COCO's instance annotations .*8"),
        ({"annotations": [{"image_id": 7, "segmentation": [[1, 2, 3]]}]}, "not COCO's instance annotations"),
        ({"annotations": [{"image_id": 7, "segmentation": [["a"]]}]}, "not COCO's instance annotations"),
        ({"annotations": [{"image_id": 7, "segmentation": [[]]}]}, "a polygon without corners"),
        ({"annotations": [{"image_id": 7, "segmentation": [[float("nan")] * 6]}]}, "a polygon without corners"),
        ({"annotations": [{"image_id": 7, "segmentation": None}]}, "expected polygons or run lengths"),
        ({"size": (6, 8)}, r"000000000007\.jpg: found 6×8 pixels, expected 8×6 pixels"),
        ({"annotations": [{"image_id": 7, "segmentation": {"size": [6, 8]}}]}, r"000000000007\.jpg: run lengths"),
    ],
)
def test_a_malformed_file_is_refused_in_one_line(tmp_path, case, words):
    records = coco(tmp_path, **case)
    with pytest.raises(InputError, match=rf"instances_train2017\.json: .*{words}") as refusal:
        read("instances", records[0], 6, "coco_stuff")
    assert "\n" not in str(refusal.value)


def test_a_missing_file_or_a_layout_without_instances(tmp_path):
    records = coco(tmp_path)
    records[0].parts["instances"].unlink()
    with pytest.raises(InputError, match=r"instances_train2017\.json: no such file"):
        read("instances", records[0], 6, "coco_stuff")
    with pytest.raises(InputError, match="instances: found none"):
        read("instances", layouts.Record("a", records[0].image), 6, "coco_stuff")


# -- synthetic scenes ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A drawn data set in COCO's layout and the scenes of its training split."""
    root = tmp_path_factory.mktemp("scenes") / "coco"
    scenes.write(root, "coco_stuff", 0, {"train": 96, "test": 32}, 64)
    return root, scenes.render(0, np.arange(96), 64)


def test_drawn_annotations_have_cocos_form(made):
    for part in ("train2017", "val2017"):
        content = json.loads((made[0] / f"annotations/instances_{part}.json").read_text())
        assert content["categories"] == [{"id": 9, "name": "boat"}, {"id": 3, "name": "car"}]
        assert {a["category_id"] for a in content["annotations"]} == {3, 9}
        assert [a["id"] for a in content["annotations"]] == list(range(1, len(content["annotations"]) + 1))
        assert {a["image_id"] for a in content["annotations"]} < {i["id"] for i in content["images"]}
        assert {a["iscrowd"] for a in content["annotations"]} == {0, 1}
        for a in content["annotations"]:
            assert isinstance(a["segmentation"], dict if a["iscrowd"] else list)
            x, y, width, height = a["bbox"]
            assert 0 < a["area"] <= width * height and x + width <= 64 and y + height <= 64


def test_drawn_instances_come_back_as_they_were_seen(made):
    root, many = made
    thing = np.isin(many.classes, (classes.BOAT, classes.CAR))
    records = scan("coco_stuff", root, "train")
    found = np.stack([read("instances", r, 64, "coco_stuff") for r in records])
    several = 0
    for shown, numbers, inside in zip(found, many.instances, thing, strict=True):
        present = np.unique(numbers[inside])
        several += len(present) > 1
        assert set(np.unique(shown)) == set(range(len(present) + 1))
        expected = np.where(inside, np.searchsorted(present, numbers) + 1, 0)
        assert (shown != expected).mean() < 0.002  # outlines hide holes and leave out specks
    assert several  # two boats are two instances


def test_every_thing_of_a_scene_is_an_instance(made):
    things = np.array([c.thing for c in scenes.CLASSES])
    np.testing.assert_array_equal(made[1].instances > 0, things[made[1].classes])


def test_packing_instances(made, tmp_path):
    card = PackCard(
        dataset="coco", layout="coco_stuff", split="test", kind="instances", resolution=32, expected=32, shard_size=20
    )
    pack(card, made[0], tmp_path / "packed/index.json")
    shards = Shards(tmp_path / "packed/index.json", "instances")
    records = scan("coco_stuff", made[0], "test")
    assert shards.ids == [r.id for r in records]
    np.testing.assert_array_equal(shards[range(32)], [read("instances", r, 32, "coco_stuff") for r in records])
    assert shards[range(32)].any()
