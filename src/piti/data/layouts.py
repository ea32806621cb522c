"""Data sets on disk: where each layout keeps its files, and checked readers for one record.

| layout     | below the root                                        | train / test         | raw label -> stored     |
|------------|-------------------------------------------------------|----------------------|-------------------------|
| ade20k     | images/SPLIT/*.jpg, annotations/SPLIT/*.png           | training, validation | 0 other, 1..150: same   |
| coco_stuff | SPLIT/*.jpg, stuffthingmaps/SPLIT/*.png,              | train2017, val2017   | 0..181: +1; 255 void: 0 |
|            | annotations/instances_SPLIT.json                      |                      |                         |
| diode      | SPLIT/**/*.png with _depth, _depth_mask, _normal .npy | train, val           | none                    |
| folder     | images/**/*.jpg, labels/**/*.png, captions/**/*.txt   | by a hash of the id  | 0..181: +1; 255 void: 0 |

Photographs and label maps may have any suffix of `piti.data.listing`; depth may also be a 16-bit PNG, where 0 is
invalid unless there is a mask. Photographs of a `folder` are turned upright as their EXIF says, and their labels with
them; the published data sets are annotated as the pixels lie in the file.

One convention holds for stored labels: 0 is other or void, 1..num_classes-1 are the classes. Every reader raises
InputError, one line naming file, found and expected; `survey` does so for all files of a split at once.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from piti.data import instances, listing, pictures
from piti.data.pictures import spell
from piti.store.files import InputError, refuse

LABEL_SHIFT = {"ade20k": 0, "coco_stuff": 1, "folder": 1}  # added in uint8, so that COCO's 255 becomes 0
GROUND = "white"  # under a photograph's transparent pixels, as browsers and printers have it
METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001}  # in one unit of a depth file
PLAUSIBLE = (0.1, 300.0)  # m: where the median depth of a picture lies


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
    upright: bool = False  # turn photograph and labels as their EXIF says


@dataclass
class Found:
    """What is below the root: records, what is wrong, and what is worth saying. One line each."""

    records: list[Record]
    faults: list[str]
    remarks: list[str]


# -- finding ---------------------------------------------------------------------------------------------------------


def scan(
    layout: str,
    root: str | Path,
    split: str,
    exclude: Sequence[str] = (),
    limit: int | None = None,
    test_count: int = 0,
) -> list[Record]:
    """The records of a split ("train" or "test"), sorted by id. See `survey`."""
    return survey(layout, root, split, exclude, limit, test_count).records


def survey(
    layout: str,
    root: str | Path,
    split: str,
    exclude: Sequence[str] = (),
    limit: int | None = None,
    test_count: int = 0,
) -> Found:
    """The same with remarks on files that are left out.

    Args:
        exclude: ids left out.
        limit: at most this many records, the first ones by id (folder: by the hash of the id).
        test_count: size of the test split where the layout has none of its own (folder); at most half of the folder.

    Raises InputError for a missing folder, photographs whose companions are missing, names that occur twice, all of
    them at once, and for an empty split.
    """
    root = Path(root)
    found = LAYOUTS[layout](root, split)
    refuse(found.faults, f"{root} ({split})")
    excluded = set(exclude)
    records = [r for r in found.records if r.id not in excluded]
    if layout == "folder":
        records.sort(key=lambda r: hashlib.sha256(r.id.encode()).digest())
        test_count = min(test_count, len(records) // 2)
        records = records[:test_count] if split == "test" else records[test_count:]
    else:
        records.sort(key=lambda r: r.id)
    if not records:
        raise listing.Nothing(f"{root}: no photographs in split {split!r} (expected layout {layout})")
    return replace(found, records=sorted(records[:limit], key=lambda r: r.id))


def check_count(found: int, expected: int | None, where: str) -> str | None:
    """A message where a count differs from the published one. Not fatal: people work with subsets."""
    if expected is None or found == expected:
        return None
    return f"{where}: found {found} photographs, the full data set has {expected}"


def _ade20k(root: Path, split: str) -> Found:
    if (root / "ADEChallengeData2016").is_dir():  # the archive as extracted
        root = root / "ADEChallengeData2016"
    part = {"train": "training", "test": "validation"}[split]
    return _photographs(root / "images" / part, root / "annotations" / part)


def _coco_stuff(root: Path, split: str) -> Found:
    part = {"train": "train2017", "test": "val2017"}[split]
    found = _photographs(root / part, root / "stuffthingmaps" / part)
    annotations = root / "annotations" / f"instances_{part}.json"
    return replace(found, records=[replace(record, instances=annotations) for record in found.records])


def _folder(root: Path, split: str) -> Found:
    found = _photographs(root / "images", root / "labels", root / "captions")
    return replace(found, records=[replace(record, upright=True) for record in found.records])


def _diode(root: Path, split: str) -> Found:
    part = {"train": "train", "test": "val"}[split]
    files = listing.listed(root / part)
    normals = listing.listed(root / f"{part}_normals") if (root / f"{part}_normals").is_dir() else files
    found, seen = Found([], [], []), {}
    maps = ("_depth", "_depth_mask", "_normal")
    photographs = {name: path for name, path in files.items() if not listing.stem(name).endswith(maps)}
    for stem, path in listing.pictures(photographs, found.faults).items():
        record = Record(stem.rpartition("/")[2], path)
        if (other := seen.setdefault(record.id, path)) != path:
            found.faults.append(f"{path}: found the same name as {other}, expected one photograph for an id")
        depth, mask, normal = (f"{stem}{kind}.npy" for kind in maps)
        if depth not in files and f"{stem}_depth.png" in files:
            depth, mask = f"{stem}_depth.png", mask if mask in files else ""
        found.records.append(
            replace(
                record,
                depth=_companion(files, depth, path, "depth", found.faults),
                depth_mask=_companion(files, mask, path, "depth_mask", found.faults) if mask else None,
                normal=_companion(normals, normal, path, "normal", found.faults),
            )
        )
    _remark_on_others(found, root / part, [n for n in photographs if not listing.is_picture(n)])
    return found


LAYOUTS: dict[str, Callable[[Path, str], Found]] = {
    "ade20k": _ade20k,
    "coco_stuff": _coco_stuff,
    "diode": _diode,
    "folder": _folder,
}


def _photographs(images: Path, labels: Path, captions: Path | None = None) -> Found:
    """Photographs under `images`; a folder of companions is optional, but where there is one it must be complete."""
    found, files = Found([], [], []), listing.listed(images)
    photographs = listing.pictures(files, found.faults)
    _remark_on_others(found, images, [name for name in files if not listing.is_picture(name)])
    label_files = caption_files = None
    if labels.is_dir():
        files = listing.listed(labels)
        label_files = {f"{stem}.png": path for stem, path in listing.pictures(files, found.faults).items()}
        alone = [name for name in files if listing.stem(name) not in photographs or not listing.is_picture(name)]
        _remark_on_others(found, labels, alone)
    if captions and captions.is_dir():
        caption_files = listing.listed(captions)
    for stem, path in photographs.items():
        record = Record(stem, path)
        if label_files is not None:
            record = replace(record, labels=_companion(label_files, f"{stem}.png", path, "labels", found.faults))
        if caption_files is not None:
            record = replace(record, caption=_companion(caption_files, f"{stem}.txt", path, "caption", found.faults))
        found.records.append(record)
    return found


def _remark_on_others(found: Found, folder: Path, names: list[str]) -> None:
    """Say which files nothing will read."""
    if names:
        found.remarks.append(f"{folder}: left out, for they are no pictures or belong to none: {listing.some(names)}")


def _companion(files: dict[str, Path], name: str, image: Path, kind: str, faults: list[str]) -> Path | None:
    if name not in files:
        faults.append(f"{image}: has no {kind} (expected {name.rpartition('/')[2]})")
    return files.get(name)


# -- reading ---------------------------------------------------------------------------------------------------------


def read_image(record: Record, resolution: int) -> np.ndarray:
    """The photograph as uint8 resolution×resolution×3 RGB: one bicubic resize, aspect ratio not kept, no crop (facts
    1.3).
    """
    image = pictures.colours(record.image, GROUND, record.upright)
    return np.asarray(image.resize((resolution, resolution), Image.Resampling.BICUBIC))


def read_labels(record: Record, resolution: int, layout: str, num_classes: int) -> np.ndarray:
    """The label map as stored ids, uint8 resolution×resolution, by nearest neighbour. The whole map is checked, not
    the sample.
    """
    if record.labels is None:
        raise InputError(f"{record.image}: has no labels (expected a folder of label maps, layout {layout})")
    size = pictures.size(record.image, record.upright)
    stored = pictures.ids(record.labels, LABEL_SHIFT[layout], record.upright)
    if (found := stored.shape[::-1]) != size:
        raise InputError(f"{record.labels}: found {spell(found)}, expected {spell(size)} as {record.image.name}")
    if stored.max() >= num_classes:
        found = int(stored[stored >= num_classes][0]) - LABEL_SHIFT[layout]
        raise InputError(f"{record.labels}: found label {found}, expected {num_classes - 1} classes ({layout})")
    return _nearest(stored, resolution)


def read_instances(record: Record, resolution: int) -> np.ndarray:
    """The instance map, uint8 resolution×resolution, by nearest neighbour: 0 none, 1, 2, … as annotated, a later one
    on top.

    A photograph that is listed without annotations has none; one that is not listed is refused.
    """
    if record.instances is None:
        raise InputError(f"{record.image}: has no instance annotations (expected layout coco_stuff)")
    split = instances.read(record.instances)
    if record.id not in split:
        names = f"{len(split):,} others, such as {next(iter(split))}" if split else "no photograph at all"
        raise InputError(f"{record.instances}: found {names}, expected {record.id}: annotations of these photographs")
    annotated, size = split[record.id], pictures.size(record.image)
    if annotated.size != size:
        raise InputError(
            f"{record.instances}: {record.image.name}: found {spell(annotated.size)}, expected {spell(size)}"
        )
    try:
        drawn = instances.draw(annotated.segmentations, size)
    except ValueError as error:
        raise InputError(f"{record.instances}: {record.image.name}: {error}") from None
    return _nearest(drawn, resolution)


def read_geometry(record: Record, resolution: int, unit: str = "m") -> np.ndarray:
    """Normal and depth as they are shown: uint8 resolution×resolution×6, normal RGB then depth RGB (facts 1.3).

    Depth, mask and normals are brought to `resolution` by nearest neighbour first. Depth, in `unit`, is clipped to
    [0.5 m, min(300 m, 99th percentile)], its logarithm coloured by jet from 0 to ln(max + 1.01), invalid pixels black,
    those that are not finite among them. Normals are shown as (n - min) / 2, zero vectors black.
    """
    size = pictures.size(record.image)
    stored = _array(record.depth, size, 1) if record.depth.suffix == ".npy" else _depth_picture(record.depth, size)
    depth = _nearest(stored, resolution) * METRES[unit]
    valid = _nearest(_array(record.depth_mask, size, 1), resolution) > 0 if record.depth_mask else depth > 0
    normal = _nearest(_array(record.normal, size, 3), resolution)
    valid &= np.isfinite(depth)
    median = float(np.median(depth[valid])) if valid.any() else PLAUSIBLE[0]
    if not PLAUSIBLE[0] <= median <= PLAUSIBLE[1]:
        low, high = PLAUSIBLE
        raise InputError(
            f"{record.depth}: found a median depth of {median:g} m, expected {low:g} to {high:g} (depth_unit: {unit})"
        )
    depth = np.where(np.isfinite(depth), depth, 0)
    return np.concatenate([_show_normal(np.nan_to_num(normal)), _show_depth(depth, valid)], axis=-1)


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


def _nearest(array: np.ndarray, resolution: int) -> np.ndarray:
    """Pixel centres by nearest neighbour: the same pixels as PIL's NEAREST."""
    rows, columns = (((np.arange(resolution) + 0.5) * n / resolution).astype(int) for n in array.shape[:2])
    return np.ascontiguousarray(array[rows[:, None], columns])


def _depth_picture(path: Path, size: tuple[int, int]) -> np.ndarray:
    depth = pictures.numbers(path)
    if (found := depth.shape[::-1]) != size:
        raise InputError(f"{path}: found {spell(found)}, expected {spell(size)} as the image")
    return depth.astype(np.float32)


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
        expected = spell(size) + (f" with {channels} channels" if channels > 1 else "")
        raise InputError(
            f"{path}: found {array.dtype} of shape {array.shape}, expected numbers for {expected} as the image"
        )
    return array.reshape(plane) if channels == 1 else array
