"""Segmentation masks as colours: the bit colour map of Pascal VOC."""

import numpy as np


def colour_map(count: int) -> np.ndarray:
    """Colours of the ids 0 .. count-1, uint8 count x 3: bit 3j + c of an id is bit 7 - j of channel c. 0 is black."""
    ids, colours = np.arange(count)[:, None], np.zeros((count, 3), np.int64)
    for j in range(7):
        colours |= (ids >> (3 * j + np.arange(3)) & 1) << (7 - j)
    return colours.astype(np.uint8)


_LEVELS = colour_map(256).T.astype(np.float32) / 255 * 2 - 1  # 3 x 256


def encode(labels: np.ndarray) -> np.ndarray:
    """Labels uint8 N x S x S (0 = void, black) -> colours, float32 N x 3 x S x S in [-1, 1]."""
    out = np.empty((len(labels), 3, *labels.shape[1:]), np.float32)
    for target, each in zip(out, labels, strict=True):
        np.take(
            _LEVELS, each, axis=1, out=target, mode="clip"
        )  # "raise" would go through a buffer; uint8 cannot be out
    return out
