"""Geometry: surface normals and depth, coloured when they are packed."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from piti.conditions.base import Condition
from piti.datasets.layouts import Record
from piti.store.files import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from piti.cards import PackCard

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001}  # in one unit of a depth file
PLAUSIBLE = (0.1, 300.0)  # m: where the median depth of a picture lies


class Geometry(Condition):
    """Normal RGB, then depth RGB, uint8 S x S x 6."""

    name, channels, dataset = "geometry", 6, "maps"
    parts, optional, depends = ("image", "depth", "normal"), ("depth_mask",), ("depth_unit",)
    mirrors = False  # a mirror turns normals, and the stored ones do not
    asks = {"_normal": "Normals", "_depth": "Depth"}

    def shape(self, resolution: int) -> tuple[int, ...]:
        return (resolution, resolution, 6)

    def read(self, record: Record, card: "PackCard") -> np.ndarray:
        """Normal and depth as they are shown (facts 1.3).

        Depth, mask and normals are brought to the resolution by nearest neighbour first. Depth, in the card's unit, is
        clipped to [0.5 m, min(300 m, 99th percentile)], its logarithm coloured by jet from 0 to ln(max + 1.01), invalid
        pixels black, those that are not finite among them. Normals are shown as (n - min) / 2, zero vectors black.
        """
        from piti.datasets.pictures import array, depth_picture, nearest, size

        of, resolution = size(record.image), card.resolution
        path, mask = record.parts["depth"], record.parts.get("depth_mask")
        stored = array(path, of, 1) if path.suffix == ".npy" else depth_picture(path, of)
        depth = nearest(stored, resolution) * METRES[card.depth_unit]
        valid = nearest(array(mask, of, 1), resolution) > 0 if mask else depth > 0
        normal = nearest(array(record.parts["normal"], of, 3), resolution)
        normal = np.nan_to_num(normal, posinf=0, neginf=0)
        if np.abs(normal).max() > 1.01:  # float16 and the like round
            found = normal.flat[np.abs(normal).argmax()]
            raise InputError(f"{record.parts['normal']}: found {found:g}, expected components from -1 to 1")
        valid &= np.isfinite(depth)
        median = float(np.median(depth[valid])) if valid.any() else PLAUSIBLE[0]
        if not PLAUSIBLE[0] <= median <= PLAUSIBLE[1]:
            low, high = PLAUSIBLE
            raise InputError(
                f"{path}: found a median depth of {median:g} m, expected {low:g} to {high:g} "
                f"(depth_unit: {card.depth_unit})"
            )
        depth = np.where(np.isfinite(depth), depth, 0)
        return np.concatenate([show_normal(normal), show_depth(depth, valid)], axis=-1)

    def encode(self, stored: np.ndarray, void: int = 0) -> np.ndarray:
        out = stored.transpose(0, 3, 1, 2).astype(np.float32, order="C")
        out /= 255
        out *= 2
        out -= 1
        return out

    def paint(self, stored: np.ndarray) -> list[np.ndarray]:
        return [stored[..., :3], stored[..., 3:]]

    def files(self, found: dict[str, Path]) -> dict[str, Path]:
        """Of each pair the file of the normals."""
        normals = {name.removesuffix("_normal").removesuffix("_depth"): file for name, file in found.items()}
        return {name: file.with_name(file.name.replace("_depth.", "_normal.")) for name, file in normals.items()}

    def open(self, path: Path, resolution: int, num_classes: int = 255, layout: str = "") -> np.ndarray:
        """NAME_normal.png or NAME_depth.png, and the other beside it."""
        from piti.datasets import pictures

        normal = path.with_name(path.name.replace("_depth.", "_normal."))
        depth = path.with_name(normal.name.replace("_normal.", "_depth."))
        if depth == normal:
            raise InputError(f"{path}: found no _normal in its name, expected NAME_normal.png beside NAME_depth.png")
        shown = []
        for file in (normal, depth):
            with pictures.opened(file) as image:
                if image.mode not in ("RGB", "RGBA", "P"):
                    raise InputError(f"{file}: found a picture of mode {image.mode}, expected one in colours (RGB)")
            colours = np.asarray(pictures.colours(file, pictures.NO_EDGE, upright=True))
            if colours.any() and (colours == colours[..., :1]).all():
                raise InputError(f"{file}: found grey in three channels, expected one in colours (RGB)")
            shown.append(pictures.nearest(colours, resolution))
        return np.concatenate(shown, -1)

    def estimator_channels(self, num_classes: int) -> int:
        return 4

    def target(self, stored: np.ndarray) -> np.ndarray:
        return decode(stored)

    def estimator_loss(self, found: "Tensor", target: "Tensor") -> "Tensor":
        """1 - cosine of the normals' angle, and the absolute error of depth (2). Both N x 4 x S x S, see `decode`."""
        import torch
        import torch.nn.functional as F

        known, target = target.isfinite(), target.nan_to_num()  # a NaN would reach the gradients even through a mask
        angle = 1 - F.cosine_similarity(found[:, :3], target[:, :3])
        distance = (found[:, 3] - target[:, 3]).abs()
        return torch.stack([(angle * known[:, 0]).sum(), (distance * known[:, 3]).sum()])

    def said(self, target: "Tensor") -> "Tensor":
        return target[:, ::3].isfinite().sum(dim=(0, 2, 3))


def show_depth(depth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    from matplotlib import colormaps  # a third of a second, wanted here only

    far = max(0.5, min(300.0, np.percentile(depth, 99)))
    shown = np.log(np.clip(depth, 0.5, far)) / np.log(far + 1.01)
    rgb = colormaps["jet"](shown, bytes=True)[..., :3]
    return np.where(valid[..., None], rgb, np.uint8(0))


def show_normal(normal: np.ndarray) -> np.ndarray:
    low = normal.min()
    normal = np.where((normal == 0).all(axis=-1, keepdims=True), low, normal)
    return np.clip((normal - low) / 2 * 255, 0, 255).astype(np.uint8)  # truncated, as matplotlib writes floats


def decode(maps: np.ndarray) -> np.ndarray:
    """What the colours say: uint8 N x S x S x 6 -> float32 N x 4 x S x S, NaN where they say nothing.

    Channels 0-2: unit normals, as if the least component of each picture were -1 (the colours do not tell it).
    Channel 3: the logarithm of depth as a fraction of its range, 0 at 1 m, 1 at the picture's farthest (facts 1.3).
    """
    normal = maps[..., :3].astype(np.float32) / 127.5 - 1
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
    normal[~maps[..., :3].any(axis=-1)] = np.nan
    keys, fractions = _jet()
    colours = _packed(maps[..., 3:])
    places = np.searchsorted(keys, colours).clip(max=len(keys) - 1)
    depth = np.where(keys[places] == colours, fractions[places], np.float32(np.nan))
    return np.concatenate([normal, depth[..., None]], axis=-1).transpose(0, 3, 1, 2)


@cache
def _jet() -> tuple[np.ndarray, np.ndarray]:
    """The colour map of depth, sorted by packed colour, and the fraction that each colour stands for."""
    from matplotlib import colormaps  # a third of a second, wanted here only

    keys = _packed(colormaps["jet"](np.arange(256), bytes=True)[:, :3])
    keys, first = np.unique(keys, return_index=True)
    return keys, (first / 255).astype(np.float32)


def _packed(rgb: np.ndarray) -> np.ndarray:
    """One integer a colour."""
    return rgb.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
