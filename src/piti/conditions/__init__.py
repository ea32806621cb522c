"""Conditions: how each task's stored items become the condition encoder's input (facts 1.3).

A condition's name is also the kind of its shards. All are float32 N x C x S x S in [-1, 1]; all share one null
condition, ones. A horizontal flip acts on the stored items (axis 2), before encoding; as in the release it does not
negate the x component of a normal.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from piti.conditions import geometry, mask, sketch


class Condition(NamedTuple):
    """One task's condition."""

    channels: int
    encode: Callable[[np.ndarray], np.ndarray]  # stored uint8 N x S x S [x 6] -> float32 N x channels x S x S


CONDITIONS = {
    "mask": Condition(3, mask.encode),
    "sketch": Condition(1, sketch.encode),
    "geometry": Condition(6, geometry.encode),
}


def painted(stored: np.ndarray, kind: str) -> np.ndarray:
    """Stored items as people look at them, uint8 N x S x S x 3: colour map, edges, normals; pictures as they are."""
    if kind == "images":
        return stored
    if kind == "sketch":
        return np.repeat(stored[..., None] * np.uint8(255), 3, axis=-1)
    encoded = CONDITIONS[kind].encode(stored)[:, :3]
    return np.rint((encoded.transpose(0, 2, 3, 1) + 1) * 127.5).astype(np.uint8)


def encoder(kind: str, void: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    """`encode` of a kind, for a model that sees the void of label maps in the colour of the label `void`."""
    return partial(mask.encode, void=void) if kind == "mask" and void else CONDITIONS[kind].encode


def null(condition: Condition, count: int, resolution: int) -> np.ndarray:
    """The condition that says nothing, for classifier-free guidance: ones, count x channels x resolution x
    resolution.
    """
    return np.ones((count, condition.channels, resolution, resolution), np.float32)
