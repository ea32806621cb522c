"""Data sets on disk: where each layout keeps its files, and checked readers for one record.

| layout     | below the root                                        | train / test         | raw label -> stored     |
|------------|-------------------------------------------------------|----------------------|-------------------------|
| ade20k     | images/SPLIT/*.jpg, annotations/SPLIT/*.png           | training, validation | 0 other, 1..150: same   |
| coco_stuff | SPLIT/*.jpg, stuffthingmaps/SPLIT/*.png,              | train2017, val2017   | 0..181: +1; 255 void: 0 |
|            | annotations/instances_SPLIT.json                      |                      |                         |
| diode      | SPLIT/**/*.png with _depth, _depth_mask, _normal .npy | train, val           | none                    |
| folder     | images/**/*.jpg, labels/**/*.png, captions/**/*.txt   | by a hash of the id  | 0..181: +1; 255 void: 0 |

One convention holds for stored labels: 0 is other or void, 1..num_classes-1 are the classes. Every reader raises
InputError, one line naming file, found and expected.
"""

import contextlib
import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from piti.data import instances
from piti.files import InputError

T = TypeVar("T")

MAX_PIXELS = 80_000_000  # a larger picture is a decompression bomb, or at least no training picture
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")  # whatever a file is called; PIL hands others to programs (EPS)
PHOTOGRAPHS = (".jpg", ".jpeg", ".png", ".webp")
LABEL_SHIFT = {"ade20k": 0, "coco_stuff": 1, "folder": 1}  # added in uint8, so that COCO's 255 becomes 0


@dataclass(frozen=True)
class Record:
    """One photograph and what belongs to it. `id` is unique in its data set."""

    id: str
    image: Path
    labels: Path | None = None
    depth: Path | None = None
    depth_mask: Path | None = None
    normal: Path | None = None
    caption: Path | None = None
    instances: Path | None = None  # COCO's annotations of the whole split, there only for who asks for them


# -- finding ---------------------------------------------------------------------------------------------------------


def scan(
    layout: str,
    root: str | Path,
    split: str,
    exclude: Sequence[str] = (),
    limit: int | None = None,
    test_count: int = 0,
) -> list[Record]:
    """The records of a split ("train" or "test"), sorted by id.

    Args:
        exclude: ids left out.
        limit: at most this many records, the first ones by id (folder: by the hash of the id).
        test_count: size of the test split where the layout has none of its own (folder).

    Raises InputError for a missing folder, a photograph whose companion is missing, and an empty split.
    """
    root = Path(root)
    records = [r for r in LAYOUTS[layout](root, split) if r.id not in set(exclude)]
    if layout == "folder":
        records.sort(key=lambda r: hashlib.sha256(r.id.encode()).digest())
        records = records[:test_count] if split == "test" else records[test_count:]
    else:
        records.sort(key=lambda r: r.id)
    records = sorted(records[:limit], key=lambda r: r.id)
    if not records:
        raise InputError(f"{root}: no photographs in split {split!r} (expected layout {layout})")
    return records


def check_count(found: int, expected: int | None, where: str) -> str | None:
    """A message where a count differs from the published one. Not fatal: people work with subsets."""
    if expected is None or found == expected:
        return None
    return f"{where}: found {found} photographs, the full data set has {expected}"


def _ade20k(root: Path, split: str) -> Iterator[Record]:
    if (root / "ADEChallengeData2016").is_dir():  # the archive as extracted
        root = root / "ADEChallengeData2016"
    part = {"train": "training", "test": "validation"}[split]
    return _photographs(root / "images" / part, root / "annotations" / part)


def _coco_stuff(root: Path, split: str) -> Iterator[Record]:
    part = {"train": "train2017", "test": "val2017"}[split]
    for record in _photographs(root / part, root / "stuffthingmaps" / part):
        yield replace(record, instances=root / "annotations" / f"instances_{part}.json")


def _folder(root: Path, split: str) -> Iterator[Record]:
    return _photographs(root / "images", root / "labels", root / "captions")


def _diode(root: Path, split: str) -> Iterator[Record]:
    part = {"train": "train", "test": "val"}[split]
    files = _files(root / part)
    normals = _files(root / f"{part}_normals") if (root / f"{part}_normals").is_dir() else files
    for name, path in files.items():
        stem, suffix = os.path.splitext(name)
        if suffix == ".png":
            companions = {
                kind: _companion(where, f"{stem}_{kind}.npy", path, kind)
                for kind, where in (("depth", files), ("depth_mask", files), ("normal", normals))
            }
            yield Record(os.path.basename(stem), path, **companions)


LAYOUTS = {"ade20k": _ade20k, "coco_stuff": _coco_stuff, "diode": _diode, "folder": _folder}


def _photographs(images: Path, labels: Path, captions: Path | None = None) -> Iterator[Record]:
    """Photographs under `images`; a folder of companions is optional, but where there is one it must be complete."""
    label_files = _files(labels) if labels.is_dir() else None
    caption_files = _files(captions) if captions and captions.is_dir() else None
    seen: dict[str, Path] = {}
    for name, path in _files(images).items():
        stem, suffix = os.path.splitext(name)
        if suffix.lower() not in PHOTOGRAPHS:
            continue
        if stem in seen:
            raise InputError(f"{path}: same name as {seen[stem].name} (expected one photograph for an id)")
        seen[stem] = path
        yield Record(
            stem,
            path,
            labels=label_files and _companion(label_files, f"{stem}.png", path, "labels"),
            caption=caption_files and _companion(caption_files, f"{stem}.txt", path, "caption"),
        )


def _files(folder: Path) -> dict[str, Path]:
    """Path relative to `folder`, with forward slashes -> path, for every file below it."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    return {
        os.path.relpath(os.path.join(parent, name), folder).replace(os.sep, "/"): Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if not name.startswith(".")
    }


def _companion(files: dict[str, Path], name: str, image: Path, kind: str) -> Path:
    if name not in files:
        raise InputError(f"{image}: has no {kind} (expected {os.path.basename(name)})")
    return files[name]


# -- reading ---------------------------------------------------------------------------------------------------------


def read_image(record: Record, side: int) -> np.ndarray:
    """The photograph as uint8 side×side×3 RGB: one bicubic resize, aspect ratio not kept, no crop (facts 1.3)."""
    with opened(record.image) as image:
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC))


def read_labels(record: Record, side: int, layout: str, num_classes: int) -> np.ndarray:
    """The label map as stored ids, uint8 side×side, by nearest neighbour. The whole map is checked, not the sample."""
    if record.labels is None:
        raise InputError(f"{record.image}: has no labels (expected a folder of label maps, layout {layout})")
    with opened(record.image) as image:
        size = image.size
    with opened(record.labels) as image:
        if image.mode not in ("L", "P"):
            raise InputError(
                f"{record.labels}: found a picture of mode {image.mode}, expected one channel of label ids"
            )
        if image.size != size:
            raise InputError(
                f"{record.labels}: found {_spell(image.size)}, expected {_spell(size)} as {record.image.name}"
            )
        labels = np.asarray(image)
    stored = labels + np.uint8(LABEL_SHIFT[layout])
    if stored.max() >= num_classes:
        found = labels[stored >= num_classes][0]
        raise InputError(f"{record.labels}: found label {found}, expected {num_classes - 1} classes ({layout})")
    return _nearest(stored, side)


def read_instances(record: Record, side: int) -> np.ndarray:
    """The instance map, uint8 side×side, by nearest neighbour: 0 none, 1, 2, … as annotated, a later one on top.

    A photograph without annotations has no instances.
    """
    if record.instances is None:
        raise InputError(f"{record.image}: has no instance annotations (expected layout coco_stuff)")
    annotated = instances.read(record.instances).get(record.id)
    if annotated is None:
        return np.zeros((side, side), np.uint8)
    with opened(record.image) as image:
        size = image.size
    if annotated.size != size:
        raise InputError(
            f"{record.instances}: {record.image.name}: found {_spell(annotated.size)}, expected {_spell(size)}"
        )
    try:
        drawn = instances.draw(annotated.segmentations, size)
    except ValueError as error:
        raise InputError(f"{record.instances}: {record.image.name}: {error}") from None
    return _nearest(drawn, side)


def read_geometry(record: Record, side: int) -> np.ndarray:
    """Normal and depth as they are shown: uint8 side×side×6, normal RGB then depth RGB (facts 1.3).

    Depth, mask and normals are brought to `side` by nearest neighbour first. Depth is clipped to
    [0.5 m, min(300 m, 99th percentile)], its logarithm coloured by jet from 0 to ln(max + 1.01), invalid pixels black.
    Normals are shown as (n - min) / 2, zero vectors black.
    """
    with opened(record.image) as image:
        size = image.size
    depth = _nearest(_array(record.depth, size, 1), side)
    valid = _nearest(_array(record.depth_mask, size, 1), side) > 0
    normal = _nearest(_array(record.normal, size, 3), side)
    valid &= np.isfinite(depth)
    return np.concatenate([_show_normal(np.nan_to_num(normal)), _show_depth(np.nan_to_num(depth), valid)], axis=-1)


def read_caption(record: Record) -> str:
    """The caption, one line of text."""
    if record.caption is None:
        raise InputError(f"{record.image}: has no caption (expected a folder captions/ beside images/)")
    try:
        return record.caption.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{record.caption}: not readable as text ({error})") from None


def _show_depth(depth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    from matplotlib import colormaps  # a third of a second, wanted here only

    far = max(0.5, min(300.0, np.percentile(depth, 99)))
    shown = np.log(np.clip(depth, 0.5, far)) / np.log(far + 1.01)
    rgb = colormaps["jet"](shown, bytes=True)[..., :3]
    return np.where(valid[..., None], rgb, np.uint8(0))


def _show_normal(normal: np.ndarray) -> np.ndarray:
    low = normal.min()
    normal = np.where((normal == 0).all(axis=-1, keepdims=True), low, normal)
    return np.clip((normal - low) / 2 * 255, 0, 255).astype(np.uint8)  # truncated, as matplotlib writes floats


def _nearest(array: np.ndarray, side: int) -> np.ndarray:
    """Pixel centres by nearest neighbour: the same pixels as PIL's NEAREST."""
    rows, columns = (((np.arange(side) + 0.5) * n / side).astype(int) for n in array.shape[:2])
    return np.ascontiguousarray(array[rows[:, None], columns])


def _array(path: Path, size: tuple[int, int], channels: int) -> np.ndarray:
    """A .npy of height×width, or height×width×channels; one channel comes back as height×width."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a whole .npy file ({' '.join(str(error).split())})") from None
    plane = size[::-1]
    if (
        array.shape not in ((plane, (*plane, 1)) if channels == 1 else ((*plane, channels),))
        or array.dtype.kind not in "fiub"
    ):
        expected = _spell(size) + (f" with {channels} channels" if channels > 1 else "")
        raise InputError(
            f"{path}: found {array.dtype} of shape {array.shape}, expected numbers for {expected} as the image"
        )
    return array.reshape(plane) if channels == 1 else array


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image file, its size checked before a pixel is decoded, its faults told in one line."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            if math.prod(image.size) > MAX_PIXELS:
                raise InputError(f"{path}: found {_spell(image.size)}, expected at most {MAX_PIXELS} pixels")
            yield image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a whole image ({error})") from None


def _spell(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]} pixels"
