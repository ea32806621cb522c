"""COCO's instance annotations: a split's file read once, the instances of one photograph drawn as a map."""

import json
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from piti.datasets import pictures
from piti.store.files import InputError

MOST = 255  # instances of a photograph, stored in a byte; COCO's fullest one has fewer than a hundred


class Annotated(NamedTuple):
    """The instances of one photograph, in the file's order."""

    size: tuple[int, int]  # width, height
    segmentations: list[list[np.ndarray] | dict]  # polygons K×2 (x, y), or a run-length encoding


@lru_cache(maxsize=1)  # every record of a split asks for the same file, and COCO's takes a minute
def read(path: Path) -> dict[str, Annotated]:
    """An `instances_*.json` by the stem of each photograph's file name. Raises InputError where it is not one."""
    try:
        content = json.loads(path.read_text(), object_hook=_lean)
        images = content["images"]
        by_id = {image["id"]: Annotated((image["width"], image["height"]), []) for image in images}
        for annotation in content["annotations"]:
            by_id[annotation["image_id"]].segmentations.append(annotation["segmentation"])
        return {Path(image["file_name"]).stem: by_id[image["id"]] for image in images}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file (expected COCO's instance annotations)") from None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not COCO's instance annotations ({type(error).__name__}: {error})") from None


def _lean(entry: dict) -> dict:
    """Of an annotation what is drawn, polygons as arrays: the file is never held as Python's numbers, thrice as big."""
    if "segmentation" not in entry:
        return entry
    segmentation = entry["segmentation"]
    if isinstance(segmentation, list):
        segmentation = [np.array(polygon, np.float32).reshape(-1, 2) for polygon in segmentation]
        if not all(len(polygon) and np.isfinite(polygon).all() for polygon in segmentation):
            raise ValueError("a polygon without corners")
    elif not isinstance(segmentation, dict):
        raise ValueError(f"segmentation {str(segmentation)[:40]}, expected polygons or run lengths")
    return {"image_id": entry["image_id"], "segmentation": segmentation}


def drawn(annotations: Path, image: Path, name: str) -> np.ndarray:
    """The instance map of the photograph `image`, called `name`, uint8 height×width. A file of annotations is read
    once.

    Raises InputError where the photograph is not among those annotated, or has another size.
    """
    split = read(annotations)
    if name not in split:
        others = f"{len(split):,} others, such as {next(iter(split))}" if split else "no photograph at all"
        raise InputError(f"{annotations}: found {others}, expected {name}: annotations of these photographs")
    annotated, size = split[name], pictures.size(image)
    if annotated.size != size:
        raise InputError(
            f"{annotations}: {image.name}: found {pictures.spell(annotated.size)}, expected {pictures.spell(size)}"
        )
    try:
        return draw(annotated.segmentations, size)
    except ValueError as error:
        raise InputError(f"{annotations}: {image.name}: {error}") from None


def draw(segmentations: list[list[np.ndarray] | dict], size: tuple[int, int]) -> np.ndarray:
    """The instance map of a photograph of `size` (width, height), uint8 height×width.

    0 where there is none, else 1, 2, … in order, a later one on top.
    Raises ValueError for too many instances and for a run-length encoding that does not fit the photograph.
    """
    width, height = size
    if len(segmentations) > MOST:
        raise ValueError(f"found {len(segmentations)} instances, expected at most {MOST}")
    instances = np.zeros((height, width), np.uint8)
    for number, segmentation in enumerate(segmentations, 1):
        if isinstance(segmentation, dict):
            instances[decode(segmentation, width, height)] = number
        else:
            for polygon in segmentation:
                instances[inside(polygon, width, height)] = number
    return instances


def inside(polygon: np.ndarray, width: int, height: int) -> np.ndarray:
    """The pixels whose centre lies inside a polygon K×2 (x, y), by the even-odd rule: bool height×width.

    That is COCO's own rule, but that its tools round to a fifth of a pixel: areas agree to 1e-5, and 99 pixels in a
    hundred; the others lie at the rim.
    """
    x, y = np.nan_to_num(polygon.astype(np.float64)).T
    ahead_x, ahead_y = np.roll(x, -1), np.roll(y, -1)
    first, last = (np.ceil(edge(y, ahead_y).clip(0, height) - 0.5).astype(int) for edge in (np.minimum, np.maximum))
    counts = last - first  # rows whose centre an edge passes
    edges = np.repeat(np.arange(len(x)), counts)
    rows = first[edges] + np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    slope = (ahead_x - x)[edges] / (ahead_y - y)[edges]
    columns = np.ceil((x[edges] + (rows + 0.5 - y[edges]) * slope).clip(0, width) - 0.5).astype(int)
    crossings = np.zeros((height, width + 1), np.uint8)
    np.add.at(crossings, (rows, columns), 1)
    found, passed = np.zeros((height, width), bool), slice(first.min(), last.max())
    found[passed] = np.cumsum(crossings[passed, :width], axis=1, dtype=np.uint8) & 1
    return found


def decode(encoding: dict, width: int, height: int) -> np.ndarray:
    """The mask of a run-length encoding, bool height×width: runs of False and True in turn, column by column."""
    size, counts = encoding.get("size"), encoding.get("counts")
    if size != [height, width]:
        raise ValueError(f"run lengths for size {size}, expected {[height, width]}")
    runs = np.array(_decompress(counts) if isinstance(counts, str) else counts)
    pixels = width * height
    whole = runs.dtype.kind == "i" and runs.ndim == 1 and len(runs) <= pixels + 1
    if not whole or runs.min() < 0 or runs.max() > pixels or runs.sum() != pixels:
        raise ValueError(f"run lengths {str(counts)[:40]}, expected whole numbers for {pixels} pixels")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def _decompress(text: str) -> list[int]:
    """Run lengths from COCO's printable form: five bits a character (from "0"), low ones first, bit 5 for "goes on".

    Numbers are signed; from the fourth on, each is the difference from the last but one.
    """
    runs: list[int] = []
    number = shift = 0
    for character in text.encode():
        bits = character - ord("0")
        number |= (bits & 31) << shift
        shift += 5
        if shift > 60:
            raise ValueError("a run length without end")
        if not bits & 32:
            if bits & 16:
                number -= 1 << shift
            runs.append(number + (runs[-2] if len(runs) > 2 else 0))
            number = shift = 0
    return runs
