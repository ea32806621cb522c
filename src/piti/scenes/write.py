"""The drawn data set on disk, in the layouts of the real ones, so that everything after it is the real path."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from pkgutil import resolve_name

import cv2
import numpy as np
from PIL import Image

from piti.datasets.classes import BOAT, CAR, CLASSES
from piti.datasets.layouts import LAYOUTS
from piti.progress import progress
from piti.scenes.captions import caption
from piti.scenes.render import Scenes, render
from piti.store.files import atomic_folder

SPLITS = ("train", "test")
_BATCH = 256
_SAVED = {".jpg": {"quality": 95}, ".png": {"compress_level": 1}}
_ADE20K = np.array([c.ade20k for c in CLASSES], np.uint8)
_COCO_STUFF = np.array([c.coco_stuff for c in CLASSES], np.uint8)
_COCO_THINGS = (BOAT, CAR)  # what COCO counts one by one; houses and trees are stuff there
_CROWD = 0.002  # part of the picture up to which a thing is annotated as COCO does crowds, by run lengths


def write(
    folder: str | Path, layout: str, seed: int, counts: Mapping[str, int], resolution: int, style: str = "task"
) -> None:
    """Write a drawn data set into `folder`, complete or not at all.

    Args:
        layout: as the data set is to lie on disk, a key of `piti.datasets.layouts.LAYOUTS`.
        counts: number of scenes per split. Each split has a seed of its own, so none shares a scene with another.
    """
    lay_out = resolve_name(LAYOUTS[layout].writer)
    with (
        atomic_folder(folder) as root,
        progress(total=sum(counts.values()), desc=f"scenes ({layout})") as bar,
    ):
        for split, count in counts.items():
            lay_out(root, split, _drawn(seed, split, count, resolution, style, bar.update))


def seed_of(seed: int, split: str) -> int:
    """Of a split's scenes."""
    return len(SPLITS) * seed + SPLITS.index(split)


def named(split: str, index: int) -> str:
    """Id of a scene in the layout `folder`, whose reader splits by a hash of it."""
    return f"{'ab'[SPLITS.index(split)]}{index // 1000:03d}/{index:08d}"


def _drawn(
    seed: int, split: str, count: int, resolution: int, style: str, done: Callable[[int], object]
) -> Iterator[tuple[int, Scenes]]:
    """The scenes of a split one by one, each with its index."""
    for start in range(0, count, _BATCH):
        indices = np.arange(start, min(start + _BATCH, count))
        scenes = render(seed_of(seed, split), indices, resolution, style)
        for row, index in enumerate(indices):
            yield int(index), Scenes(*(part[row] for part in scenes))
        done(len(indices))


def ade20k(root: Path, split: str, scenes: Iterator[tuple[int, Scenes]]) -> None:
    part, short = {"train": ("training", "train"), "test": ("validation", "val")}[split]
    for index, scene in scenes:
        name = f"{part}/ADE_{short}_{index + 1:08d}"
        _image(root / f"ADEChallengeData2016/images/{name}.jpg", scene.image)
        _image(root / f"ADEChallengeData2016/annotations/{name}.png", _ADE20K[scene.classes])


def coco_stuff(root: Path, split: str, scenes: Iterator[tuple[int, Scenes]]) -> None:
    part = {"train": "train2017", "test": "val2017"}[split]
    images, annotations = [], []
    for index, scene in scenes:
        name, (height, width) = f"{index + 1:012d}", scene.classes.shape
        _image(root / f"{part}/{name}.jpg", scene.image)
        _image(root / f"stuffthingmaps/{part}/{name}.png", _coco_labels(scene.classes))
        images.append({"file_name": f"{name}.jpg", "height": height, "width": width, "id": index + 1})
        for annotation in _coco_annotations(scene):
            annotations.append(annotation | {"image_id": index + 1, "id": len(annotations) + 1})
    categories = [{"id": CLASSES[c].coco_stuff + 1, "name": CLASSES[c].name} for c in _COCO_THINGS]
    path = root / f"annotations/instances_{part}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def diode(root: Path, split: str, scenes: Iterator[tuple[int, Scenes]]) -> None:
    for index, scene in scenes:
        scan = index // 20 + 1  # twenty views a scan
        place = f"{'train' if split == 'train' else 'val'}/outdoor/scene_{scan:05d}/scan_{scan:05d}"
        stem = root / place / f"{scan:05d}_{scan:05d}_outdoor_{index % 20 * 10:03d}_000"
        _image(stem.with_suffix(".png"), scene.image)
        np.save(f"{stem}_depth.npy", scene.depth[..., None])
        np.save(f"{stem}_depth_mask.npy", scene.valid.astype((np.float32, np.float64)[index % 2]))  # both are in use
        np.save(f"{stem}_normal.npy", scene.normal)


def folder(root: Path, split: str, scenes: Iterator[tuple[int, Scenes]]) -> None:
    for index, scene in scenes:
        name = named(split, index)
        _image(root / f"images/{name}.jpg", scene.image)
        _image(root / f"labels/{name}.png", _COCO_STUFF[scene.classes])
        text = root / f"captions/{name}.txt"
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text(caption(scene.tokens) + "\n")


def _coco_labels(classes: np.ndarray) -> np.ndarray:
    """COCO-Stuff ids; unlabelled (255) where a pixel differs from its left and upper neighbour, as along real seams."""
    labels = _COCO_STUFF[classes]
    inner = labels[1:, 1:]
    labels[1:, 1:] = np.where((inner != labels[:-1, 1:]) & (inner != labels[1:, :-1]), 255, inner)
    return labels


def _coco_annotations(scene: Scenes) -> Iterator[dict]:
    """The boats and cars of a picture as COCO annotates them: outlines of their visible parts, small ones by runs."""
    for number in np.unique(scene.instances[np.isin(scene.classes, _COCO_THINGS)]):
        mask = scene.instances == number
        outlines = _outlines(mask) if mask.sum() > _CROWD * mask.size else []
        yield {
            "segmentation": outlines or _run_lengths(mask),
            "area": int(mask.sum()),
            "iscrowd": int(not outlines),
            "bbox": list(cv2.boundingRect(mask.astype(np.uint8))),
            "category_id": CLASSES[scene.classes[mask][0]].coco_stuff + 1,
        }


def _outlines(mask: np.ndarray) -> list[list[float]]:
    """A polygon [x, y, x, y, …] round the pixel centres of every part (COCO's 0 is the picture's edge)."""
    twice = mask.repeat(2, 0).repeat(2, 1).astype(np.uint8)  # a quarter of a pixel beyond the centres
    contours, _ = cv2.findContours(twice, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [((contour + 0.5) / 2).ravel().tolist() for contour in contours if cv2.contourArea(contour) > 1]  # no specks


def _run_lengths(mask: np.ndarray) -> dict:
    """Lengths of the runs outside and inside in turn, column by column, beginning outside."""
    flat = mask.T.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=False))
    return {"counts": np.diff(starts, prepend=0, append=flat.size).tolist(), "size": list(mask.shape)}


def _image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **_SAVED[path.suffix])


def developed(pixels: np.ndarray, resolution: int) -> Image.Image:
    """A drawn photograph as it comes back from its file, at another resolution."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **_SAVED[".jpg"])
    return Image.open(file).resize((resolution, resolution), Image.Resampling.BICUBIC)
