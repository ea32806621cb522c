"""Geometry: surface normals and depth, coloured when they were packed."""

from functools import cache

import numpy as np


def encode(maps: np.ndarray) -> np.ndarray:
    """Normal RGB and depth RGB, uint8 N x S x S x 6 -> float32 N x 6 x S x S in [-1, 1]."""
    out = maps.transpose(0, 3, 1, 2).astype(np.float32, order="C")
    out /= 255
    out *= 2
    out -= 1
    return out


def decode(maps: np.ndarray) -> np.ndarray:
    """What the colours say: uint8 N x S x S x 6 -> float32 N x 4 x S x S, NaN where they say nothing.

    Channels 0-2: unit normals, as if the least component of each picture were -1 (the colours do not tell it).
    Channel 3: the logarithm of depth as a share of its range, 0 at 1 m, 1 at the picture's farthest (facts 1.3).
    """
    normal = maps[..., :3].astype(np.float32) / 127.5 - 1
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
    normal[~maps[..., :3].any(axis=-1)] = np.nan
    keys, shares = _jet()
    colours = _packed(maps[..., 3:])
    places = np.searchsorted(keys, colours).clip(max=len(keys) - 1)
    depth = np.where(keys[places] == colours, shares[places], np.float32(np.nan))
    return np.concatenate([normal, depth[..., None]], axis=-1).transpose(0, 3, 1, 2)


@cache
def _jet() -> tuple[np.ndarray, np.ndarray]:
    """The colour map of depth, sorted by packed colour, and the share that each colour stands for."""
    from matplotlib import colormaps  # a third of a second, wanted here only

    keys = _packed(colormaps["jet"](np.arange(256), bytes=True)[:, :3])
    keys, first = np.unique(keys, return_index=True)
    return keys, (first / 255).astype(np.float32)


def _packed(rgb: np.ndarray) -> np.ndarray:
    """One integer a colour."""
    return rgb.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
