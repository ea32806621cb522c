"""Edits of a label map, uint8 S x S: what the paper's Figure 20 does to masks by hand."""

import numpy as np
from scipy import ndimage


def segment(labels: np.ndarray, label: int) -> np.ndarray:
    """The largest connected region of a class, bool S x S; all False where the class is not there."""
    regions, count = ndimage.label(labels == label)
    sizes = np.bincount(regions.ravel(), minlength=count + 1)[1:]
    return regions == 1 + sizes.argmax() if count else np.zeros(labels.shape, bool)


def paste(labels: np.ndarray, region: np.ndarray, label: int) -> np.ndarray:
    """The class at the region, which may come from another image."""
    return np.where(region, np.uint8(label), labels)


def remove(labels: np.ndarray, region: np.ndarray) -> np.ndarray:
    """The region becomes what lies nearest to each of its pixels outside of it."""
    rows, columns = ndimage.distance_transform_edt(region, return_distances=False, return_indices=True)
    return labels[rows, columns]


def grow(labels: np.ndarray, region: np.ndarray, by: float) -> np.ndarray:
    """The region with everything that is nearer to it than `by`, in sides of the picture, in its class."""
    near = ndimage.distance_transform_edt(~region) < by * len(labels)
    return np.where(near, labels[region][0], labels)
