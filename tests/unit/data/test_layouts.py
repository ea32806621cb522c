"""Layout readers on drawn files: what they find, what they make of it, and how they refuse."""

import contextlib
import itertools
import shutil

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image
from tests.unit.data.reading import read, scan

from piti import scenes
from piti.datasets import layouts, pictures
from piti.datasets.layouts import Record
from piti.store.files import InputError

RNG = np.random.default_rng(0)


def picture(path, size=(8, 6), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (*size[::-1], 3) if mode == "RGB" else size[::-1]
    Image.fromarray(RNG.integers(0, 256, shape, np.uint8)).save(path)
    return path


def labels(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path)
    return path


def diode(folder, name="a", size=(8, 6), mask_type=np.float32, depth=None, mask=None, normal=None):
    """One record in DIODE's layout; arrays default to something sensible."""
    stem = folder / name
    picture(stem.with_suffix(".png"), size)
    plane = size[::-1]
    np.save(f"{stem}_depth.npy", (RNG.uniform(1, 50, (*plane, 1)) if depth is None else depth).astype(np.float32))
    np.save(f"{stem}_depth_mask.npy", (np.ones(plane) if mask is None else mask).astype(mask_type))
    np.save(f"{stem}_normal.npy", (RNG.uniform(-1, 1, (*plane, 3)) if normal is None else normal).astype(np.float32))


# -- finding ---------------------------------------------------------------------------------------------------------


def test_scan_finds_splits_and_sorts(tmp_path):
    for part, count in (("training", 3), ("validation", 2)):
        for i in reversed(range(count)):
            picture(tmp_path / f"images/{part}/ADE_{i}.jpg")
            labels(tmp_path / f"annotations/{part}/ADE_{i}.png", np.zeros((6, 8)))
    train = scan("ade20k", tmp_path, "train")
    assert [r.id for r in train] == ["ADE_0", "ADE_1", "ADE_2"]
    assert train[0].parts["labels"] == tmp_path / "annotations/training/ADE_0.png"
    assert [r.id for r in scan("ade20k", tmp_path, "train", exclude=("ADE_1",), limit=1)] == ["ADE_0"]
    assert len(scan("ade20k", tmp_path, "test")) == 2


def test_labels_are_optional_but_complete(tmp_path):
    picture(tmp_path / "train2017/1.jpg")
    picture(tmp_path / "train2017/2.jpg")
    assert scan("coco_stuff", tmp_path, "train")[0].part("labels") is None
    labels(tmp_path / "stuffthingmaps/train2017/1.png", np.zeros((6, 8)))
    with pytest.raises(InputError, match=r"2\.jpg: has no labels \(expected 2\.png\)"):
        scan("coco_stuff", tmp_path, "train")


def test_folder_splits_by_hash(tmp_path):
    for i in range(20):
        picture(tmp_path / f"images/{i % 3}/{i}.jpg", (2, 2))
    train, test = (scan("folder", tmp_path, split, test_count=5) for split in ("train", "test"))
    assert len(train) == 15 and len(test) == 5
    assert not {r.id for r in train} & {r.id for r in test}
    assert [r.id for r in train] == sorted(r.id for r in train) and "/" in train[0].id
    fewer = scan("folder", tmp_path, "train", test_count=5, limit=4)
    assert {r.id for r in fewer} < {r.id for r in train}
    assert len(scan("folder", tmp_path, "test", test_count=5, exclude=(test[0].id,))) == 5


def test_diode_wants_all_companions(tmp_path):
    folder = tmp_path / "val/outdoor/scene_1/scan_1"
    diode(folder)
    record = scan("diode", tmp_path, "test")[0]
    assert record.id == "a" and record.parts["depth_mask"].name == "a_depth_mask.npy"
    # normals from their own archive
    (tmp_path / "val_normals/outdoor/scene_1/scan_1").mkdir(parents=True)
    record.parts["normal"].rename(tmp_path / "val_normals/outdoor/scene_1/scan_1/a_normal.npy")
    assert scan("diode", tmp_path, "test")[0].parts["normal"].is_file()
    record.parts["depth_mask"].unlink()
    with pytest.raises(InputError, match=r"a\.png: has no depth_mask"):
        scan("diode", tmp_path, "test")


def test_missing_folder_and_empty_split(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        scan("ade20k", tmp_path, "train")
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError, match="split 'train'"):
        scan("folder", tmp_path, "train")
    picture(tmp_path / "images/a.jpg")
    picture(tmp_path / "images/a.png")
    with pytest.raises(InputError, match="same name"):
        scan("folder", tmp_path, "train")


def test_photographs_beyond_the_counts_are_counted_and_named(tmp_path):
    for i in range(6):
        picture(tmp_path / f"images/{i}.png")
    found = layouts.survey("folder", tmp_path, "train", limit=1, test_count=1)
    (remark,), kept = found.remarks, found.records[0].id
    assert remark.startswith(f"{tmp_path} (train): left out, for 1 are asked for: 4 (") and f" {kept}," not in remark
    assert not layouts.survey("folder", tmp_path, "test", limit=1, test_count=1).remarks


def test_ids_excluded_in_vain_are_counted_and_named(tmp_path):
    for i in range(3):
        picture(tmp_path / f"images/{i}.png")
        picture(tmp_path / f"train2017/{i}.png")
        picture(tmp_path / f"val2017/{i + 3}.png")
    for layout, other in (("folder", "2"), ("coco_stuff", "4")):  # COCO's 4 is in the other split
        found = layouts.survey(layout, tmp_path, "train", exclude=("0.jpg", "1", other, "nope"))
        assert found.remarks == [f"{tmp_path}: exclude: found no photograph with these ids: 2 (0.jpg, nope)"]
    shutil.rmtree(tmp_path / "val2017")
    assert not layouts.survey("coco_stuff", tmp_path, "train", exclude=("4",)).remarks  # who knows


def test_counts():
    assert layouts.check_count(5, 5, "x") is None and layouts.check_count(5, None, "x") is None
    assert "found 4" in layouts.check_count(4, 5, "x")


# -- reading ---------------------------------------------------------------------------------------------------------


def test_image_is_resized_whole(tmp_path):
    for mode in ("RGB", "L"):
        path = picture(tmp_path / f"{mode}.png", (40, 20), mode)
        expected = Image.open(path).convert("RGB").resize((16, 16), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(read("images", Record("x", path), 16), np.asarray(expected))


@pytest.mark.parametrize("size, resolution", [((640, 427), 256), ((100, 37), 64), ((13, 8), 32), ((64, 64), 64)])
def test_nearest_is_pils_nearest(size, resolution):
    array = RNG.integers(0, 256, size[::-1], np.uint8)
    expected = Image.fromarray(array).resize((resolution, resolution), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(pictures.nearest(array, resolution), np.asarray(expected))


def test_labels_follow_one_convention(tmp_path):
    image = picture(tmp_path / "a.jpg", (2, 2))
    raw = labels(tmp_path / "a.png", [[0, 149], [150, 3]])
    record = Record("a", image, {"labels": raw})
    np.testing.assert_array_equal(read("mask", record, 2, "ade20k", num_classes=151), [[0, 149], [150, 3]])
    labels(raw, [[0, 181], [255, 3]])
    np.testing.assert_array_equal(read("mask", record, 2, "coco_stuff", num_classes=183), [[1, 182], [0, 4]])
    np.testing.assert_array_equal(read("mask", record, 2, "folder", num_classes=183), [[1, 182], [0, 4]])


@pytest.mark.parametrize(
    "layout, num_classes, bad", [("ade20k", 151, 151), ("ade20k", 151, 255), ("coco_stuff", 183, 182)]
)
def test_label_outside_the_range(tmp_path, layout, num_classes, bad):
    # one bad pixel that the resize would skip
    values = np.zeros((8, 8))
    values[0, 0] = bad
    record = Record("a", picture(tmp_path / "a.jpg", (8, 8)), {"labels": labels(tmp_path / "a.png", values)})
    with pytest.raises(InputError, match=rf"a\.png: found label {bad}, expected"):
        read("mask", record, 2, layout, num_classes=num_classes)


def test_labels_that_do_not_fit(tmp_path):
    image = picture(tmp_path / "a.jpg", (8, 6))
    with pytest.raises(InputError, match=r"a\.jpg: labels: found none"):
        read("mask", Record("a", image), 4, "ade20k", num_classes=151)
    with pytest.raises(InputError, match="found 6×8 pixels, expected 8×6 pixels"):
        read(
            "mask",
            Record("a", image, {"labels": labels(tmp_path / "a.png", np.zeros((8, 6)))}),
            4,
            "ade20k",
            num_classes=151,
        )
    with pytest.raises(
        InputError, match=r"found colour \(.*expected those of the label colour map, or label ids in one channel"
    ):
        read("mask", Record("a", image, {"labels": picture(tmp_path / "b.png")}), 4, "ade20k", num_classes=151)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_truncated_image(tmp_path, suffix):
    path = picture(tmp_path / f"a{suffix}", (200, 200))
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(InputError, match=f"a{suffix}: not a whole image") as refusal:
        read("images", Record("a", path), 8)
    assert "\n" not in str(refusal.value)
    path.write_bytes(b"text")
    with pytest.raises(InputError, match="not a whole image"):
        read("images", Record("a", path), 8)


def test_pixel_limit(tmp_path, monkeypatch):
    path = picture(tmp_path / "a.png", (30, 30))
    monkeypatch.setattr(pictures, "MAX_PIXELS", 800)
    with pytest.raises(InputError, match="found 30×30 pixels, expected at most 800"):
        read("images", Record("a", path), 8)


def test_geometry_is_shown_as_diode_shows_it(tmp_path):
    """Facts 1.3, worked by hand on four pixels."""
    depth = np.array([[0.2, 1.0], [20.0, 1000.0]])
    mask = np.array([[1, 1], [1, 0]])
    normal = np.array([[[0, 0, -1], [1, 0, 0]], [[0, 0, 0], [0, 0.6, -0.8]]])
    far = min(300, np.percentile(depth.astype(np.float32), 99))
    vmax = np.log(far + 1.01)
    jet = colormaps["jet"]
    rgb = [[jet(np.log(d) / vmax, bytes=True)[:3] for d in row] for row in np.clip(depth, 0.5, far)]
    rgb[1][1] = (0, 0, 0)
    shown = np.where((normal == 0).all(-1, keepdims=True), -1, normal)
    for dims in (depth, depth[..., None]):
        diode(tmp_path / "val", "a", (2, 2), np.float64, depth=dims, mask=mask, normal=normal)
        got = read("geometry", scan("diode", tmp_path, "test")[0], 2, "diode")
        np.testing.assert_array_equal(got[..., 3:], rgb)
        np.testing.assert_array_equal(got[..., :3], ((shown + 1) / 2 * 255).astype(np.uint8))


@pytest.mark.parametrize("dtype, most", [(np.uint8, 255), (np.float32, 255), (np.float32, 1.5), (np.float64, -2)])
def test_normals_are_vectors_not_colours(tmp_path, dtype, most):
    diode(tmp_path / "val")
    record = scan("diode", tmp_path, "test")[0]
    normal = np.zeros((6, 8, 3), dtype)
    normal[0, 0, 0] = most
    np.save(record.parts["normal"], normal)
    with pytest.raises(InputError, match=rf"a_normal\.npy: found {most:g}, expected components from -1 to 1"):
        read("geometry", record, 8, "diode")
    np.save(record.parts["normal"], normal / np.float32(most) * np.float32(1.001))  # rounded somewhere
    read("geometry", record, 8, "diode")


def test_geometry_without_a_valid_pixel_is_black(tmp_path):
    diode(tmp_path / "val", depth=np.zeros((6, 8)), mask=np.zeros((6, 8)), normal=np.zeros((6, 8, 3)))
    assert not read("geometry", scan("diode", tmp_path, "test")[0], 4, "diode").any()


def test_broken_arrays(tmp_path):
    diode(tmp_path / "val")
    record = scan("diode", tmp_path, "test")[0]
    np.save(record.parts["depth"], np.ones((5, 8), np.float32))
    with pytest.raises(InputError, match=r"a_depth\.npy: found float32 of shape \(5, 8\), expected .* 8×6 pixels"):
        read("geometry", record, 4, "diode")
    np.save(record.parts["depth"], np.array([[{}] * 8] * 6), allow_pickle=True)
    with pytest.raises(InputError, match=r"a_depth\.npy: not a whole \.npy"):
        read("geometry", record, 4, "diode")
    np.save(record.parts["depth"], np.ones((6, 8), np.float32))
    record.parts["normal"].write_bytes(record.parts["normal"].read_bytes()[:-40])
    with pytest.raises(InputError, match=r"a_normal\.npy: not a whole \.npy") as refusal:
        read("geometry", record, 4, "diode")
    assert "\n" not in str(refusal.value)


def test_an_array_with_any_byte_of_its_header_changed_is_read_or_refused_in_one_line(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.ones((6, 8, 3), np.float32))
    whole = path.read_bytes()
    for at, value in itertools.product(range(128), b"\x00\x01\xff(\"'"):
        path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
        with contextlib.suppress(InputError):
            assert pictures.array(path, (8, 6), 3).shape == (6, 8, 3)
    np.savez(tmp_path / "b", np.ones((6, 8)))
    with pytest.raises(InputError, match=r"b\.npz: not a whole \.npy"):
        pictures.array(tmp_path / "b.npz", (8, 6), 1)


def test_caption(tmp_path):
    (tmp_path / "a.txt").write_text("summer noon tree\n")
    found = read("caption", Record("a", tmp_path, {"caption": tmp_path / "a.txt"}), 0)
    np.testing.assert_array_equal(found, scenes.encode("summer noon tree"))
    with pytest.raises(InputError, match=r"b\.txt"):
        read("caption", Record("a", tmp_path, {"caption": tmp_path / "b.txt"}), 0)
