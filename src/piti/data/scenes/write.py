"""The drawn data set on disk, in the layouts of the real ones, so that everything after it is the real path."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from piti.data.scenes.captions import caption
from piti.data.scenes.classes import CLASSES
from piti.data.scenes.render import Scenes, render
from piti.files import atomic_folder

SPLITS = ("train", "test")
_BATCH = 256
_ADE20K = np.array([c.ade20k for c in CLASSES], np.uint8)
_COCO_STUFF = np.array([c.coco_stuff for c in CLASSES], np.uint8)


def write(
    folder: str | Path, layout: str, seed: int, counts: Mapping[str, int], side: int, style: str = "task"
) -> None:
    """Write a drawn data set into `folder`, complete or not at all.

    Args:
        layout: one of `WRITERS`, the layouts that `piti.data.layouts` reads.
        counts: number of scenes per split. Each split has a seed of its own, so none shares a scene with another.
    """
    with (
        atomic_folder(folder) as root,
        tqdm(total=sum(counts.values()), desc=f"scenes ({layout})", disable=None) as bar,
    ):
        for split, count in counts.items():
            for start in range(0, count, _BATCH):
                indices = np.arange(start, min(start + _BATCH, count))
                scenes = render(len(SPLITS) * seed + SPLITS.index(split), indices, side, style)
                for row, index in enumerate(indices):
                    WRITERS[layout](root, split, int(index), Scenes(*(part[row] for part in scenes)))
                bar.update(len(indices))


def _ade20k(root: Path, split: str, index: int, scene: Scenes) -> None:
    part, short = {"train": ("training", "train"), "test": ("validation", "val")}[split]
    name = f"{part}/ADE_{short}_{index + 1:08d}"
    _image(root / f"ADEChallengeData2016/images/{name}.jpg", scene.image)
    _image(root / f"ADEChallengeData2016/annotations/{name}.png", _ADE20K[scene.classes])


def _coco_stuff(root: Path, split: str, index: int, scene: Scenes) -> None:
    name = f"{'train' if split == 'train' else 'val'}2017/{index + 1:012d}"
    _image(root / f"{name}.jpg", scene.image)
    _image(root / f"stuffthingmaps/{name}.png", _coco_labels(scene.classes))


def _diode(root: Path, split: str, index: int, scene: Scenes) -> None:
    scan = index // 20 + 1  # twenty views a scan
    place = f"{'train' if split == 'train' else 'val'}/outdoor/scene_{scan:05d}/scan_{scan:05d}"
    stem = root / place / f"{scan:05d}_{scan:05d}_outdoor_{index % 20 * 10:03d}_000"
    _image(stem.with_suffix(".png"), scene.image)
    np.save(f"{stem}_depth.npy", scene.depth[..., None])
    np.save(f"{stem}_depth_mask.npy", scene.valid.astype((np.float32, np.float64)[index % 2]))  # both are in use
    np.save(f"{stem}_normal.npy", scene.normal)


def _folder(root: Path, split: str, index: int, scene: Scenes) -> None:
    name = f"{'ab'[SPLITS.index(split)]}{index // 1000:03d}/{index:08d}"  # the reader splits by a hash of this
    _image(root / f"images/{name}.jpg", scene.image)
    _image(root / f"labels/{name}.png", _COCO_STUFF[scene.classes])
    text = root / f"captions/{name}.txt"
    text.parent.mkdir(parents=True, exist_ok=True)
    text.write_text(caption(scene.tokens) + "\n")


WRITERS = {"ade20k": _ade20k, "coco_stuff": _coco_stuff, "diode": _diode, "folder": _folder}


def _coco_labels(classes: np.ndarray) -> np.ndarray:
    """COCO-Stuff ids; unlabelled (255) where a pixel differs from its left and upper neighbour, as along real seams."""
    labels = _COCO_STUFF[classes]
    inner = labels[1:, 1:]
    labels[1:, 1:] = np.where((inner != labels[:-1, 1:]) & (inner != labels[1:, :-1]), 255, inner)
    return labels


def _image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"quality": 95} if path.suffix == ".jpg" else {"compress_level": 1}
    Image.fromarray(pixels).save(path, **options)
