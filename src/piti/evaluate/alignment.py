"""How well generated images follow their condition, given what a network predicts from them.

| condition | predictor needed | scores |
|---|---|---|
| mask | semantic segmentation in the condition's classes | `mean_iou` |
| sketch | the edge network that made the sketches, same threshold | `edge_f1` |
| geometry | monocular depth (up to scale) and surface normals (camera frame) | `depth_error`, `normal_error` |

A predictor errs on real images too: report its score on the real images as the ceiling.
"""

import numpy as np
from scipy import ndimage


def overlaps(predicted: np.ndarray, wanted: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels of each image and class, N×3×num_classes int64: where both say it, where it is wanted, where predicted.

    predicted, wanted: integers 0..num_classes-1, N×S×S. Pixels whose wanted label is 0, void, are left out.
    """
    counts = np.zeros((len(wanted), 3, num_classes), np.int64)
    for count, found, true in zip(counts, predicted, wanted, strict=True):
        found, true = found[true > 0], true[true > 0]
        for row, labels in zip(count, (true[found == true], true, found), strict=True):
            row += np.bincount(labels, minlength=num_classes)
    return counts


def mean_iou(counts: np.ndarray) -> float:
    """Mean over the wanted classes of intersection over union; NaN if none is wanted.

    counts: 3×num_classes from `overlaps`, of one image or summed over several, as benchmarks do.
    """
    both, wanted, predicted = counts[:, counts[1] > 0]
    return float(np.mean(both / (wanted + predicted - both))) if len(wanted) else float("nan")


def edge_f1(predicted: np.ndarray, wanted: np.ndarray, radius: float | None = None) -> np.ndarray:
    """F1 of edge pixels for each image, N. predicted, wanted: N×S×S bool.

    An edge pixel counts as found when the other map has one within `radius` px: by default 0.0075 of the diagonal, the
    tolerance of the BSDS benchmark (2.7 px at 256), and at least 1. Two empty maps agree: F1 is 1.
    """
    radius = max(1.0, 0.0075 * np.hypot(*wanted.shape[1:])) if radius is None else radius
    found, covered = predicted & _near(wanted, radius), wanted & _near(predicted, radius)
    precision = _fraction(found, predicted)
    recall = _fraction(covered, wanted)
    return 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)


def depth_error(predicted: np.ndarray, wanted: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Scale-invariant error of depth for each image, N: the deviation of ln(predicted / wanted) (Eigen et al. 2014).

    predicted, wanted: N×S×S, positive where valid (bool). The scale of depth, one factor a picture,
    does not count: no photograph tells it. NaN where nothing is valid.
    """
    ratio = np.log(np.where(valid, predicted, 1)) - np.log(np.where(valid, wanted, 1))
    mean = _mean(ratio, valid)
    return np.sqrt(_mean((ratio - mean[:, None, None]) ** 2, valid))


def normal_error(predicted: np.ndarray, wanted: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Mean angle in degrees between normals for each image, N. predicted, wanted: N×S×S×3, of any length but zero."""
    lengths = np.linalg.norm(predicted, axis=-1) * np.linalg.norm(wanted, axis=-1)
    cosine = (predicted * wanted).sum(axis=-1) / np.where(valid, lengths, 1)
    return _mean(np.degrees(np.arccos(cosine.clip(-1, 1))), valid)


def _near(edges: np.ndarray, radius: float) -> np.ndarray:
    """Pixels within `radius` of an edge of the same image."""
    reach = int(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return ndimage.binary_dilation(edges, structure=(x**2 + y**2 <= radius**2)[None])


def _fraction(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Part over whole for each image; 1 where the whole is empty."""
    part, whole = part.sum(axis=(1, 2)), whole.sum(axis=(1, 2))
    return np.where(whole > 0, part / np.maximum(whole, 1), 1.0)


def _mean(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Mean over the valid pixels of each image; NaN where there are none."""
    count = valid.sum(axis=(1, 2))
    return np.where(count > 0, np.where(valid, values, 0).sum(axis=(1, 2)) / np.maximum(count, 1), np.nan)
