"""Geometry: surface normals and depth, coloured when they were packed."""

import numpy as np


def encode(maps: np.ndarray) -> np.ndarray:
    """Normal RGB and depth RGB, uint8 N x S x S x 6 -> float32 N x 6 x S x S in [-1, 1]."""
    out = maps.transpose(0, 3, 1, 2).astype(np.float32, order="C")
    out /= 255
    out *= 2
    out -= 1
    return out
