"""Data sets on disk: where each layout keeps its files.

| layout     | below the root                                        | train / test         | raw label -> stored     |
|------------|-------------------------------------------------------|----------------------|-------------------------|
| ade20k     | images/SPLIT/*.jpg, annotations/SPLIT/*.png           | training, validation | 0 other, 1..150: same   |
| coco_stuff | SPLIT/*.jpg, stuffthingmaps/SPLIT/*.png,              | train2017, val2017   | 0..181: +1; 255 void: 0 |
|            | annotations/instances_SPLIT.json                      |                      |                         |
| diode      | SPLIT/**/*.png with _depth, _depth_mask, _normal .npy | train, val           | none                    |
| folder     | images/**/*.jpg, labels/**/*.png, captions/**/*.txt   | by a hash of the id  | 0..181: +1; 255 void: 0 |

Photographs and label maps may have any suffix of `piti.datasets.listing`; depth may also be a 16-bit PNG, where 0 is
invalid unless there is a mask. Photographs of a `folder` are turned upright as their EXIF says, and their labels with
them; the published data sets are annotated as the pixels lie in the file. What the files hold, the kinds of condition
read (`piti.conditions`).

One convention holds for stored labels: 0 is other or void, 1..num_classes-1 are the classes.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from piti.datasets import listing
from piti.registry import Registry
from piti.store.files import InputError, refuse


@dataclass(frozen=True)
class Record:
    """One photograph and what belongs to it. `id` is unique in its data set."""

    id: str
    image: Path
    parts: dict[str, Path] = field(default_factory=dict)  # labels, depth, depth_mask, normal, caption, instances …
    upright: bool = False  # turn photograph and labels as their EXIF says

    def part(self, name: str) -> Path | None:
        """One of its files: "image", or what the layout has found beside it."""
        return self.image if name == "image" else self.parts.get(name)


@dataclass
class Found:
    """What is below the root: records, what is wrong, and what is worth saying. One line each."""

    records: list[Record]
    faults: list[str]
    remarks: list[str]


@dataclass(frozen=True)
class Layout:
    """How a data set lies on disk."""

    name: str
    find: Callable[[Path, str], Found]  # root, "train" or "test" -> all records of the split, in any order
    own_splits: bool = True  # else all records come with either, and are split by a hash of the id
    label_ids: str = "coco_stuff"  # whose classes its label files number: a field of piti.datasets.classes
    label_shift: int = 0  # added to the ids of label files in uint8, so that a 255 becomes 0
    writer: str = ""  # module:function that writes synthetic scenes so (`piti.scenes.write`)


def survey(
    layout: str,
    root: str | Path,
    split: str,
    exclude: Sequence[str] = (),
    limit: int | None = None,
    test_count: int = 0,
) -> Found:
    """The records of a split ("train" or "test"), sorted by id, with remarks on files that are left out.

    Args:
        exclude: ids left out.
        limit: at most this many records, the first ones by id (without splits of its own: by the hash of the id).
        test_count: size of the test split where the layout has none of its own; at most half of the records.

    Raises InputError for a missing folder, photographs whose companions are missing, names that occur twice, all of
    them at once, and for an empty split.
    """
    root = Path(root)
    try:
        found = LAYOUTS[layout].find(root, split)
    except listing.Nothing as error:
        raise listing.Nothing(f"{error} (expected layout {layout})") from None
    refuse(found.faults, f"{root} ({split})")
    excluded = set(exclude)
    records = [r for r in found.records if r.id not in excluded]
    if unknown := _unknown(excluded.difference(r.id for r in found.records), LAYOUTS[layout], root, split):
        found.remarks.append(f"{root}: exclude: found no photograph with these ids: {listing.some(unknown)}")
    if LAYOUTS[layout].own_splits:
        records.sort(key=lambda r: r.id)
    else:
        records.sort(key=lambda r: hashlib.sha256(r.id.encode()).digest())
        test_count = min(test_count, len(records) // 2)
        records = records[:test_count] if split == "test" else records[test_count:]
    if not records:
        raise listing.Nothing(f"{root}: no photographs in split {split!r} (expected layout {layout})")
    if limit is not None and (beyond := records[limit:]):
        names = listing.some(r.id for r in beyond)
        found.remarks.append(f"{root} ({split}): left out, for {limit:,} are asked for: {names}")
    return replace(found, records=sorted(records[:limit], key=lambda r: r.id))


def _unknown(ids: set[str], layout: Layout, root: Path, split: str) -> set[str]:
    """Those of the ids that are not of the other split either; none, where that is not there."""
    if not (ids and layout.own_splits):
        return ids
    try:
        other = layout.find(root, "test" if split == "train" else "train")
    except InputError:
        return set()
    return ids.difference(record.id for record in other.records)


def check_count(found: int, expected: int | None, where: str) -> str | None:
    """A message where a count differs from the published one. Not fatal: people work with subsets."""
    if expected is None or found == expected:
        return None
    return f"{where}: found {found} photographs, the full data set has {expected}"


def _ade20k(root: Path, split: str) -> Found:
    if os.path.isdir(root / "ADEChallengeData2016"):  # the archive as extracted
        root = root / "ADEChallengeData2016"
    part = {"train": "training", "test": "validation"}[split]
    return photographs(root / "images" / part, labels=root / "annotations" / part)


def _coco_stuff(root: Path, split: str) -> Found:
    part = {"train": "train2017", "test": "val2017"}[split]
    found = photographs(root / part, labels=root / "stuffthingmaps" / part)
    whole = {"instances": root / "annotations" / f"instances_{part}.json"}  # of the split, read by who asks for them
    return replace(found, records=[replace(record, parts=record.parts | whole) for record in found.records])


def _folder(root: Path, split: str) -> Found:
    found = photographs(root / "images", labels=root / "labels", captions=root / "captions")
    return replace(found, records=[replace(record, upright=True) for record in found.records])


def _diode(root: Path, split: str) -> Found:
    part = {"train": "train", "test": "val"}[split]
    files = listing.listed(root / part)
    normals = listing.listed(root / f"{part}_normals") if (root / f"{part}_normals").is_dir() else files
    found, seen = Found([], [], []), {}
    maps = ("_depth", "_depth_mask", "_normal")
    images = {name: path for name, path in files.items() if not listing.stem(name).endswith(maps)}
    for stem, path in listing.pictures(images, found.faults).items():
        record = Record(stem.rpartition("/")[2], path)
        if (other := seen.setdefault(record.id, path)) != path:
            found.faults.append(f"{path}: found the same name as {other}, expected one photograph for an id")
        depth, mask, normal = (f"{stem}{kind}.npy" for kind in maps)
        if depth not in files and f"{stem}_depth.png" in files:
            depth, mask = f"{stem}_depth.png", mask if mask in files else ""
        parts = {"depth": _companion(files, depth, path, "depth", found.faults)}
        parts["depth_mask"] = _companion(files, mask, path, "depth_mask", found.faults) if mask else None
        parts["normal"] = _companion(normals, normal, path, "normal", found.faults)
        found.records.append(replace(record, parts={name: file for name, file in parts.items() if file}))
    _remark_on_others(found, root / part, [n for n in images if not listing.is_picture(n)])
    return found


def photographs(images: Path, labels: Path, captions: Path | None = None) -> Found:
    """Photographs under `images`; a folder of labels is optional, but where there is one it must be complete. Captions
    are asked for by who packs them alone: a folder of that name may hold something else.
    """
    found, files = Found([], [], []), listing.listed(images)
    pictures = listing.pictures(files, found.faults)
    _remark_on_others(found, images, [name for name in files if not listing.is_picture(name)])
    label_files, caption_files = None, {}
    if labels.is_dir():
        files = listing.listed(labels)
        label_files = {f"{stem}.png": path for stem, path in listing.pictures(files, found.faults).items()}
        alone = [name for name in files if listing.stem(name) not in pictures or not listing.is_picture(name)]
        _remark_on_others(found, labels, alone)
    if captions and captions.is_dir():
        caption_files = listing.listed(captions)
    for stem, path in pictures.items():
        parts = {}
        if label_files is not None:
            parts["labels"] = _companion(label_files, f"{stem}.png", path, "labels", found.faults)
        parts["caption"] = caption_files.get(f"{stem}.txt")
        found.records.append(Record(stem, path, {name: file for name, file in parts.items() if file}))
    return found


def _remark_on_others(found: Found, folder: Path, names: list[str]) -> None:
    """Remark on the files that are left out."""
    if names:
        found.remarks.append(f"{folder}: left out, for they are no pictures or belong to none: {listing.some(names)}")


def _companion(files: dict[str, Path], name: str, image: Path, kind: str, faults: list[str]) -> Path | None:
    if name not in files:
        faults.append(f"{image}: has no {kind} (expected {name.rpartition('/')[2]})")
    return files.get(name)


LAYOUTS: Registry[Layout] = Registry(
    "layout",
    Layout("ade20k", _ade20k, label_ids="ade20k", writer="piti.scenes.write:ade20k"),
    Layout("coco_stuff", _coco_stuff, label_shift=1, writer="piti.scenes.write:coco_stuff"),
    Layout("diode", _diode, writer="piti.scenes.write:diode"),
    Layout("folder", _folder, own_splits=False, label_shift=1, writer="piti.scenes.write:folder"),
)
