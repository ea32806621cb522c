"""The colours that labels are painted in: the bit colour map of Pascal VOC."""

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
