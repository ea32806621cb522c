"""Segmentation masks as colours: the bit colour map of Pascal VOC."""

import numpy as np


def colour_map(count: int) -> np.ndarray:
    """Colours of the ids 0 .. count-1, uint8 count x 3: bit 3j + c of an id is bit 7 - j of channel c. 0 is black."""
    ids, colours = np.arange(count)[:, None], np.zeros((count, 3), np.int64)
    for j in range(7):
        colours |= (ids >> (3 * j + np.arange(3)) & 1) << (7 - j)
    return colours.astype(np.uint8)


def labels_of(colours: np.ndarray) -> np.ndarray:
    """The ids that are painted in these colours, uint8 H x W x 3 -> H x W.

    Raises ValueError for a colour of none, and for a picture in grey: ids in three channels, as it seems.
    """
    packed = colours @ _PLACES
    if packed.any() and (colours == colours[..., :1]).all() and not np.isin(packed, _PACKED).all():
        raise ValueError("found grey in three channels, expected the colours of the label colour map")
    order = np.argsort(_PACKED)
    places = order[np.searchsorted(_PACKED, packed, sorter=order).clip(max=255)]
    if (strange := _PACKED[places] != packed).any():
        colour = tuple(colours[strange][0].tolist())
        raise ValueError(f"found colour {colour}, expected those of the label colour map")
    return places.astype(np.uint8)


_PLACES = np.array([1 << 16, 1 << 8, 1])
_PACKED = colour_map(256) @ _PLACES  # one number a colour
_LEVELS = colour_map(256).T.astype(np.float32) / 255 * 2 - 1  # 3 x 256


def encode(labels: np.ndarray, void: int = 0) -> np.ndarray:
    """Labels uint8 N x S x S (0 = void) -> colours, float32 N x 3 x S x S in [-1, 1]; void in that of the label `void`:
    black, unless somebody counts it as the last class.
    """
    labels = np.where(labels == 0, np.uint8(void), labels) if void else labels
    out = np.empty((len(labels), 3, *labels.shape[1:]), np.float32)
    for target, each in zip(out, labels, strict=True):
        np.take(
            _LEVELS, each, axis=1, out=target, mode="clip"
        )  # "raise" would go through a buffer; uint8 cannot be out
    return out
