"""Folders as people have them: each file is read right, or refused in one line that names it, never something else."""

import contextlib
import itertools
import os
import struct
import unicodedata
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.unit.data.reading import read, scan

from piti.cards import PackCard
from piti.conditions import CONDITIONS
from piti.data.packing import faults, pack
from piti.data.shards import Shards
from piti.datasets import layouts, pictures
from piti.datasets.colours import colour_map
from piti.sample.translate import find
from piti.store.files import InputError

RNG = np.random.default_rng(0)
COLOURS = colour_map(256)
NORTH = np.kron(np.eye(2)[:, :, None] * 255, np.ones((4, 6, 3))).astype(np.uint8)  # 12 x 8: no turn leaves it as it is
NORTH[0, 0] = 99
ORIENTATION = 0x0112
LAID = {  # how an upright picture lies in a file of each orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def oriented(path, upright, orientation):
    """A picture that its EXIF turns upright."""
    image, exif = Image.fromarray(upright).transpose(LAID[orientation]), Image.Exif()
    exif[ORIENTATION] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, exif=exif)
    return path


def palette(path, indices, colours):
    """A palette picture."""
    image = Image.fromarray(indices)
    image.putpalette(np.asarray(colours, np.uint8).ravel().tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def only(root, layout="folder"):
    (record,) = scan(layout, root, "train")
    return record


# -- photographs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", LAID)
def test_a_folders_photographs_stand_upright_and_published_ones_lie_as_their_labels_do(tmp_path, suffix, orientation):
    oriented(tmp_path / f"images/a{suffix}", NORTH, orientation)
    expected = np.asarray(Image.fromarray(NORTH).resize((8, 8), Image.Resampling.BICUBIC))
    assert np.abs(read("images", only(tmp_path), 8).astype(int) - expected).max() <= (24 if suffix == ".webp" else 0)
    path = oriented(tmp_path / "train2017/a.png", NORTH, orientation)
    raw = np.asarray(Image.open(path).resize((8, 8), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(read("images", only(tmp_path, "coco_stuff"), 8), raw)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_labels_of_a_turned_photograph_are_those_of_the_upright_one(tmp_path, suffix, orientation):
    oriented(tmp_path / f"images/a{suffix}", NORTH, orientation)
    values = RNG.integers(0, 182, (8, 12), np.uint8)
    save(tmp_path / "labels/a.png", values)
    np.testing.assert_array_equal(read("mask", only(tmp_path), 24, "folder", num_classes=183)[::3, ::2], values + 1)
    save(tmp_path / "labels/a.png", values.T.copy())
    with pytest.raises(InputError, match="found 8×12 pixels, expected 12×8 pixels"):
        read("mask", only(tmp_path), 24, "folder", num_classes=183)


ODD = {  # EXIF entries that no program can write again: tag, type, count, value
    "a resolution in words": (0x011A, 2, 3, int.from_bytes(b"72")),
    "a resolution that is raw bytes": (0x011A, 7, 4, 0),
    "a comment that is a number": (0x9286, 4, 1, 7),
    "a further table in words": (0x8769, 2, 4, 0),
}


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_entry_beside_the_orientation_is_no_matter(tmp_path, suffix, odd):
    entries = sorted([(ORIENTATION, 3, 1, 6), ODD[odd]])
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    path = save(
        tmp_path / f"images/a{suffix}",
        np.rot90(NORTH),
        exif=b"Exif\0\0" + struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + table + bytes(4),
    )
    assert pictures.size(path, upright=True) == pictures.colours(path, "white", upright=True).size == (12, 8)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize(
    "exif", [b"garbage", b"G", b"Exif\0\0garbage", b"II*\0", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"]
)
def test_exif_that_is_garbage_turns_nothing(tmp_path, suffix, exif):
    path = save(tmp_path / f"a{suffix}", NORTH, exif=exif)
    assert pictures.size(path, upright=True) == pictures.colours(path, "white", upright=True).size == (12, 8)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg", ".webp", ".gif", ".bmp"])
def test_a_picture_with_any_byte_changed_is_read_or_refused_in_one_line(tmp_path, suffix):
    path = oriented(tmp_path / f"a{suffix}", NORTH, 6)
    whole = path.read_bytes()
    for at, value in itertools.product(range(len(whole)), (0, 255)):
        path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
        with contextlib.suppress(InputError):
            assert pictures.colours(path, "white", upright=True).size[0] == pictures.size(path, upright=True)[0]


def test_a_png_with_any_bit_flipped_is_refused_or_the_very_same_picture(tmp_path):
    """Its checksums say so; PIL does not look at those of the pixels."""
    colours, ids, deep = (tmp_path / f"{name}.png" for name in ("colours", "ids", "deep"))
    oriented(colours, NORTH, 6)
    palette(ids, np.arange(150, dtype=np.uint8).reshape(10, 15), COLOURS[:150])
    save(deep, RNG.integers(0, 65536, (6, 9), np.uint16))
    readers = {colours: lambda: pictures.colours(colours, "white", upright=True)}
    readers |= {ids: lambda: pictures.labels(ids), deep: lambda: pictures.numbers(deep)}
    for path, read_it in readers.items():
        whole, expected = path.read_bytes(), np.asarray(read_it())
        for bit in range(8 * len(whole)):
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            with contextlib.suppress(InputError):
                np.testing.assert_array_equal(read_it(), expected, f"{path.name}: byte {bit // 8}")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_keep_their_order(tmp_path, suffix):
    values = np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8)
    save(tmp_path / f"images/a{suffix}", values)
    np.testing.assert_array_equal(read("images", only(tmp_path), 8)[..., 0], values >> 8)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_thirty_two_bits_are_refused(tmp_path, dtype):
    save(tmp_path / "images/a.tif", np.zeros((8, 8), dtype))
    with pytest.raises(InputError, match=r"a\.tif: found 32 bits a pixel"):
        read("images", only(tmp_path), 8)


def hidden(form):
    """Red beneath transparent pixels in the left half, opaque green in the right."""
    picture = np.zeros((8, 8, 4), np.uint8)
    picture[:, :4], picture[:, 4:] = (255, 0, 0, 0), (0, 255, 0, 255)
    image = Image.fromarray(picture)
    if form == "palette":
        indices = np.repeat([[0] * 4 + [1] * 4], 8, 0).astype(np.uint8)
        image = Image.fromarray(indices)
        image.putpalette([255, 0, 0, 0, 255, 0])
        image.info["transparency"] = 0
    if form == "grey":
        image = Image.fromarray(np.dstack([np.full((8, 8), 80, np.uint8), picture[..., 3]]))
    return image


@pytest.mark.parametrize("form, right", [("colours", (0, 255, 0)), ("palette", (0, 255, 0)), ("grey", (80, 80, 80))])
def test_what_is_transparent_does_not_show_what_it_hides(tmp_path, form, right):
    (tmp_path / "images").mkdir()
    hidden(form).save(tmp_path / "images/a.png")
    image = read("images", only(tmp_path), 8)
    assert image[0, 0].tolist() == [255, 255, 255] and image[0, 7].tolist() == list(right)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".tif", ".webp"])
def test_several_frames_are_no_photograph(tmp_path, suffix):
    frames = [Image.fromarray(RNG.integers(0, 256, (8, 8, 3), np.uint8)) for _ in range(3)]
    (tmp_path / "images").mkdir()
    frames[0].save(tmp_path / f"images/a{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="found 3 frames, expected one picture"):
        read("images", only(tmp_path), 8)


# -- label maps ------------------------------------------------------------------------------------------------------

STORED = np.array([[0, 1, 7], [60, 181, 182]], np.uint8)
RAW = STORED - np.uint8(1)  # as COCO-Stuff has them: 255 is void
SHUFFLED = RNG.permutation(6)  # indices of a palette that mean nothing
USED = STORED.ravel()[np.argsort(SHUFFLED)]  # the label behind each
BRIGHT = RNG.integers(1, 256, (256, 3))
DEEP = {
    "RGB": COLOURS[STORED].astype(np.uint16),
    "RGBA": np.dstack([COLOURS[STORED], np.full((2, 3), 65535, np.uint16)]),
}


def png(path, width, height, depth, colour, rows):
    """A PNG of samples that PIL does not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def tiff(path, width, depth, row):
    """A TIFF of one row in grey."""
    entries = ((256, width), (257, 1), (258, depth), (259, 1), (262, 1), (273, 110), (277, 1), (279, len(row)))
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + table + bytes(4) + row)


def label_file(path, form):
    indices = SHUFFLED.reshape(STORED.shape).astype(np.uint8)
    if form == "grey ids":
        save(path, RAW)
    elif form == "ids in a palette of their own greys":
        palette(path, RAW, np.repeat(np.arange(256)[:, None], 3, 1))
    elif form == "ids in the label colour map":
        palette(path, RAW, COLOURS)
    elif form == "ids in the colours that the release paints":
        palette(path, RAW, np.roll(COLOURS, -1, 0))
    elif form == "painted":
        save(path, COLOURS[STORED])
    elif form == "painted, in a palette":
        palette(path, indices, COLOURS[USED])
    elif form == "ids in any colours":
        palette(path, RAW, BRIGHT)
    elif form == "greys, in a palette in another order":
        palette(path, indices, np.repeat(np.roll(USED, 1)[:, None], 3, 1))
    elif form == "jpeg":
        save(path, RAW, format="JPEG")
    elif form == "webp":
        save(path, np.repeat(RAW[..., None], 3, 2), format="WEBP")
    elif form == "webp that keeps them, after a long profile":
        save(path, COLOURS[STORED], format="WEBP", lossless=True, icc_profile=bytes(3000))
    elif form == "sixteen bits":
        save(path, RAW.astype(np.uint16))
    elif form == "sixteen bits, grey and transparency":
        png(path, 3, 2, 16, 4, b"".join(b"\0" + row.astype(">u2").tobytes() for row in np.dstack([RAW, RAW])))
    elif form.startswith("sixteen bits, "):
        _, channels, suffix = form.split(", ")
        path.write_bytes(cv2.imencode(suffix, DEEP[channels])[1])
    elif form == "transparent":
        picture = np.dstack([COLOURS[STORED], np.full(STORED.shape, 255, np.uint8)])
        picture[0, 0, 3] = 0
        save(path, picture)
    elif form == "grey in three channels":
        save(path, np.repeat(RAW[..., None], 3, 2))


@pytest.mark.parametrize(
    "form",
    [
        "grey ids",
        "ids in a palette of their own greys",
        "ids in the label colour map",
        "ids in the colours that the release paints",
        "painted",
        "painted, in a palette",
        "webp that keeps them, after a long profile",
    ],
)
def test_label_maps_that_say_what_they_mean(tmp_path, form):
    save(tmp_path / "images/a.jpg", np.zeros((2, 3, 3), np.uint8))
    (tmp_path / "labels").mkdir()
    label_file(tmp_path / "labels/a.png", form)
    np.testing.assert_array_equal(read("mask", only(tmp_path), 6, "folder", num_classes=183)[::3, ::2], STORED)


@pytest.mark.parametrize(
    "form, words",
    [
        ("ids in any colours", "found colour"),
        ("greys, in a palette in another order", "found grey in three channels|found colour"),
        ("jpeg", "found JPEG, which changes label ids"),
        ("webp", "found lossy WEBP, which changes label ids"),
        ("sixteen bits", "found 16 bits a channel"),
        ("sixteen bits, grey and transparency", "found 16 bits a channel"),
        ("sixteen bits, RGB, .png", "found 16 bits a channel"),
        ("sixteen bits, RGBA, .png", "found 16 bits a channel"),
        ("sixteen bits, RGB, .tif", "found 16 bits a channel"),
        ("sixteen bits, RGBA, .tif", "found 16 bits a channel"),
        ("transparent", "found transparent pixels"),
        ("grey in three channels", "found grey in three channels"),
    ],
)
def test_label_maps_that_do_not(tmp_path, form, words):
    save(tmp_path / "images/a.jpg", np.zeros((2, 3, 3), np.uint8))
    (tmp_path / "labels").mkdir()
    label_file(tmp_path / "labels/a.png", form)
    with pytest.raises(InputError, match=rf"a\.png: ({words})") as refusal:
        read("mask", only(tmp_path), 6, "folder", num_classes=183)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_samples_of_four_bits_are_no_ids(tmp_path, suffix):
    """PIL and OpenCV make 17 of 1."""
    save(tmp_path / "images/a.jpg", np.zeros((1, 2, 3), np.uint8))
    path = tmp_path / f"labels/a{suffix}"
    png(path, 2, 1, 4, 0, b"\0\x12") if suffix == ".png" else tiff(path, 2, 4, b"\x12")
    assert np.asarray(Image.open(path)).tolist() == [[17, 34]]
    with pytest.raises(InputError, match="found 4 bits a channel"):
        read("mask", only(tmp_path), 2, "folder", num_classes=183)


# -- names and folders -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.tif", "a.bmp", "a.gif", "a.jfif", "a.JPG", "a.TIFF", "a.jpe"])
@pytest.mark.parametrize("layout, folder", [("folder", "images"), ("coco_stuff", "train2017"), ("diode", "train")])
def test_every_suffix_of_a_picture_is_read(tmp_path, name, layout, folder):
    form = {".jfif": "JPEG", ".jpe": "JPEG"}.get(name[1:])
    save(tmp_path / folder / name, NORTH, **({"format": form} if form else {}))
    for kind in ("depth", "depth_mask", "normal") if layout == "diode" else ():
        np.save(tmp_path / f"{folder}/a_{kind}.npy", np.ones((8, 12, 3) if kind == "normal" else (8, 12)))
    assert only(tmp_path, layout).id == "a" and read("images", only(tmp_path, layout), 8).std() > 50
    save(tmp_path / "conditions" / name, NORTH, **({"format": form} if form else {}))
    assert list(find(tmp_path / "conditions", CONDITIONS["mask"])) == ["a"]


@pytest.mark.parametrize("layout, folder", [("folder", "images"), ("coco_stuff", "train2017"), ("diode", "train")])
def test_what_is_no_picture_is_counted_and_named(tmp_path, layout, folder):
    save(tmp_path / folder / "a.png", NORTH)
    for kind in ("depth", "depth_mask", "normal") if layout == "diode" else ():
        np.save(tmp_path / f"{folder}/a_{kind}.npy", np.ones((8, 12, 3)))
    for name in ("b.heic", "c.HEIC", "d.cr2", "e.txt"):
        (tmp_path / folder / name).touch()
    (remark,) = layouts.survey(layout, tmp_path, "train").remarks
    assert f"{folder}: left out" in remark and remark.endswith(": 4 (b.heic, c.HEIC, d.cr2, …)")


def test_a_remark_is_one_line_whatever_files_are_called(tmp_path):
    save(tmp_path / "images/a.png", NORTH)
    (tmp_path / "images/b\nc.txt").touch()
    (remark,) = layouts.survey("folder", tmp_path, "train").remarks
    assert remark.endswith(r": 1 (b\nc.txt)")


def test_labels_of_no_photograph_are_counted_and_named(tmp_path):
    save(tmp_path / "images/a.png", NORTH)
    for name in ("a", "b"):
        save(tmp_path / f"labels/{name}.png", NORTH[..., 0])
    (remark,) = layouts.survey("folder", tmp_path, "train").remarks
    assert remark.endswith("belong to none: 1 (b.png)")


def test_translate_counts_what_is_no_picture(tmp_path, capsys):
    save(tmp_path / "a.png", NORTH)
    (tmp_path / "b.heic").touch()
    assert list(find(tmp_path, CONDITIONS["mask"])) == ["a"]
    assert "left out, for they are no pictures: 1 (b.heic)" in capsys.readouterr().err


def test_linked_folders_are_entered_and_rings_refused(tmp_path):
    save(tmp_path / "elsewhere/b.jpg", NORTH)
    save(tmp_path / "images/a.jpg", NORTH)
    (tmp_path / "images/linked").symlink_to(tmp_path / "elsewhere")
    assert [r.id for r in scan("folder", tmp_path, "train")] == ["a", "linked/b"]
    (tmp_path / "elsewhere/ring").symlink_to(tmp_path / "images")
    with pytest.raises(InputError, match="found a link to a folder above it"):
        scan("folder", tmp_path, "train")


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, linked):
    save(tmp_path / "images/a.jpg", NORTH)
    os.mkfifo(pipe := tmp_path / ("pipe" if linked else "images/b.jpg"))
    if linked:
        (tmp_path / "images/b.jpg").symlink_to(pipe)
    with pytest.raises(InputError, match=r"images/b\.jpg: found a pipe, a socket or a device, expected a file or a f"):
        scan("folder", tmp_path, "train")


@pytest.mark.parametrize("target", ["self.jpg", "nowhere.jpg"])
def test_a_link_that_leads_nowhere_is_one_bad_picture(tmp_path, target):
    save(tmp_path / "images/a.jpg", NORTH)
    (tmp_path / "images/self.jpg").symlink_to(target)
    card_of_two = card(train=2)
    (fault,) = faults(card_of_two, scan("folder", tmp_path, "train"))
    assert fault.startswith(f"{tmp_path}/images/self.jpg: not a whole image")


@pytest.mark.parametrize("names", [("a.jpg", "a.png"), ("a.png", "a.webp"), ("a.JPG", "a.jpeg")])
@pytest.mark.parametrize("where", ["folder", "coco_stuff", "mask", "sketch", "geometry"])
def test_two_pictures_of_one_name_are_both_named(tmp_path, names, where):
    folder = tmp_path / {"folder": "images", "coco_stuff": "train2017"}.get(where, "conditions")
    names = [name.replace("a.", "a_normal.") if where == "geometry" else name for name in names]
    for name in names:
        save(folder / name, NORTH)
    with pytest.raises(InputError) as refusal:
        scan(where, tmp_path, "train") if where in layouts.LAYOUTS else find(folder, CONDITIONS[where])
    assert all(name in str(refusal.value) for name in names)


COMPOSED = unicodedata.normalize("NFC", "Zürich")
DECOMPOSED = unicodedata.normalize("NFD", "Zürich")


@pytest.mark.parametrize(
    "image, label",
    [
        (COMPOSED.encode(), DECOMPOSED.encode()),
        (DECOMPOSED.encode(), COMPOSED.encode()),
        (COMPOSED.encode("latin-1"), COMPOSED.encode("latin-1")),
        (COMPOSED.encode("latin-1"), COMPOSED.encode()),
    ],
)
def test_names_of_other_systems_are_joined(tmp_path, image, label):
    for folder, name in (("images", image), ("labels", label)):
        save(tmp_path / folder / "x.png", RAW)
        os.rename(tmp_path / folder / "x.png", os.fsencode(tmp_path / folder) + b"/" + name + b".png")
    card = PackCard(
        dataset="d", layout="folder", split="train", kind="mask", resolution=4, train=1, expected=1, num_classes=183
    )
    pack(card, tmp_path, tmp_path / "packed/index.json")
    assert Shards(tmp_path / "packed/index.json").ids == [COMPOSED]
    assert list(find(tmp_path / "labels", CONDITIONS["mask"])) == [COMPOSED]


def test_one_name_in_two_spellings_is_refused(tmp_path):
    for name in (COMPOSED, DECOMPOSED):
        save(tmp_path / f"images/{name}.png", NORTH)
    with pytest.raises(InputError, match="the same name in other bytes"):
        scan("folder", tmp_path, "train")


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    save(tmp_path / "images/locked/a.png", NORTH)
    scandir = os.scandir

    def refusing(path):  # permissions stop nobody who runs the tests as root
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(InputError, match="images/locked: cannot be read"):
        scan("folder", tmp_path, "train")


# -- depth -----------------------------------------------------------------------------------------------------------


def geometry(root, depth, *, unit="m", picture=False, mask=None):
    """One record in DIODE's layout, read at its own side."""
    height, width = depth.shape
    save(root / "train/a.png", np.zeros((height, width, 3), np.uint8))
    np.save(root / "train/a_normal.npy", np.ones((height, width, 3), np.float32))
    if picture:
        save(root / "train/a_depth.png", depth)
    else:
        np.save(root / "train/a_depth.npy", depth)
    if mask is not None or not picture:
        np.save(root / "train/a_depth_mask.npy", np.ones(depth.shape) if mask is None else mask)
    return read("geometry", only(root, "diode"), height, "diode", depth_unit=unit)[..., 3:]


METRES = np.linspace(1, 20, 64).reshape(8, 8).round(3)


@pytest.mark.parametrize("unit, times", [("mm", 1000), ("cm", 100)])
def test_depth_in_another_unit_is_asked_for_and_checked(tmp_path, unit, times):
    expected = geometry(tmp_path / "m", METRES)
    np.testing.assert_array_equal(geometry(tmp_path / "a", (METRES * times), unit=unit), expected)
    if unit == "mm":
        with pytest.raises(InputError, match=r"found a median depth of 10500 m, expected 0.1 to 300 \(depth_unit: m\)"):
            geometry(tmp_path / "b", METRES * times)
    with pytest.raises(InputError, match=r"found a median depth of 0\.0105 m"):
        geometry(tmp_path / "c", METRES, unit="mm")


def test_depth_as_a_picture_of_sixteen_bits(tmp_path):
    millimetres = (METRES * 1000).astype(np.uint16)
    millimetres[0, 0] = 0  # nothing was measured there
    shown = geometry(tmp_path / "a", millimetres, unit="mm", picture=True)
    valid = millimetres > 0
    expected = geometry(tmp_path / "b", np.where(valid, METRES, 0), mask=valid)
    np.testing.assert_array_equal(shown, expected)
    assert not shown[0, 0].any() and len(np.unique(shown.reshape(-1, 3), axis=0)) > 30
    with pytest.raises(InputError, match=r"a_depth\.png: found a median depth of"):
        geometry(tmp_path / "c", millimetres, picture=True)


@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan])
def test_depth_that_is_not_finite_is_invalid_and_changes_nothing_else(tmp_path, odd):
    depth = METRES.copy()
    depth[0, :2] = odd
    valid = np.isfinite(depth)
    expected = geometry(tmp_path / "a", np.where(valid, depth, 0), mask=valid)
    np.testing.assert_array_equal(geometry(tmp_path / "b", depth), expected)


# -- whole folders ---------------------------------------------------------------------------------------------------


def card(kind="images", split="train", train=9, test=0):
    classes = 183 if kind == "mask" else 0
    return PackCard(
        dataset="d",
        layout="folder",
        split=split,
        kind=kind,
        resolution=8,
        expected=train if split == "train" else test,
        train=train,
        test=test,
        num_classes=classes,
    )


def test_all_bad_photographs_of_a_folder_are_named_at_once(tmp_path, capsys):
    for i in range(6):
        save(tmp_path / f"images/{i}.png", RNG.integers(0, 256, (20, 20, 3), np.uint8))
    for i in (1, 4):
        (tmp_path / f"images/{i}.png").write_bytes((tmp_path / f"images/{i}.png").read_bytes()[:-500])
    (tmp_path / "images/5.png").write_text("text")
    with pytest.raises(InputError, match=r"\(train\): found 3 faults, expected none; the first: .*images/1\.png"):
        pack(card(), tmp_path, tmp_path / "packed/index.json")
    lines = [line for line in capsys.readouterr().err.splitlines() if "not a whole image" in line]
    assert [next(i for i in range(6) if f"images/{i}.png" in line) for line in lines] == [1, 4, 5]
    assert not list((tmp_path / "packed").glob("*"))


def test_all_missing_companions_of_a_folder_are_named_at_once(tmp_path, capsys):
    for i in range(4):
        save(tmp_path / f"images/{i}.png", NORTH)
    save(tmp_path / "images/3.jpg", NORTH)
    save(tmp_path / "labels/0.png", NORTH[..., 0])
    with pytest.raises(InputError, match="found 4 faults"):
        scan("folder", tmp_path, "train")
    said = capsys.readouterr().err
    assert all(f"{i}.png: has no labels" in said for i in (1, 2)) and "expected one picture for a name" in said


def test_captions_are_asked_for_only_where_they_are_packed(tmp_path, capsys):
    """A folder `captions` may hold something else, such as one file for all."""
    for i in range(3):
        save(tmp_path / f"images/{i}.png", NORTH)
    (tmp_path / "captions").mkdir()
    (tmp_path / "captions/all.json").write_text("{}")
    pack(card(), tmp_path, tmp_path / "packed/index.json")
    with pytest.raises(InputError, match=r"d \(train\): caption: found none, expected one for each photograph"):
        pack(card("caption"), tmp_path, tmp_path / "again/index.json")
    (tmp_path / "captions/0.txt").write_text("summer noon tree")
    with pytest.raises(InputError, match=r"\(train\): found 2 faults"):
        pack(card("caption"), tmp_path, tmp_path / "again/index.json")
    said = capsys.readouterr().err
    assert all(f"{i}.png: caption: found none, expected one for kind 'caption'" in said for i in (1, 2))


def test_damage_that_the_decoder_survives_is_counted(tmp_path, capsys):
    for name in ("good", "hurt"):
        save(tmp_path / f"images/{name}.jpg", RNG.integers(0, 256, (64, 64, 3), np.uint8), quality=95)
    content = bytearray((tmp_path / "images/hurt.jpg").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 200] = bytes(200)
    (tmp_path / "images/hurt.jpg").write_bytes(content)
    pack(card(), tmp_path, tmp_path / "packed/index.json")
    remarks = Shards(tmp_path / "packed/index.json").attributes["remarks"]
    assert any("damaged, as libjpeg says, and read all the same: 1 (hurt.jpg)" in remark for remark in remarks)
    assert "1 (hurt.jpg)" in capsys.readouterr().err
    os.rename(tmp_path / "images/hurt.jpg", os.fsencode(tmp_path) + b"/images/" + COMPOSED.encode("latin-1") + b".jpg")
    pack(card(), tmp_path, tmp_path / "again/index.json")
    remarks = Shards(tmp_path / "again/index.json").attributes["remarks"]
    assert any(f"1 ({COMPOSED}.jpg)" in remark for remark in remarks)


@pytest.mark.parametrize("count, test, expected", [(1500, 2000, 750), (3, 2000, 1), (20, 5, 5), (2500, 2000, 1250)])
def test_a_small_folder_is_split_too(tmp_path, count, test, expected):
    (tmp_path / "images").mkdir()
    for i in range(count):
        (tmp_path / f"images/{i}.jpg").touch()
    parts = [scan("folder", tmp_path, split, test_count=test) for split in ("train", "test")]
    assert [len(part) for part in parts] == [count - expected, expected]
