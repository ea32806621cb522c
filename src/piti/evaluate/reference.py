"""Statistics of a reference set as pytorch-fid and clean-fid keep them: an .npz of mean `mu` and covariance `sigma`."""

from pathlib import Path
from tokenize import TokenError
from typing import NamedTuple

import numpy as np

from piti.evaluate import frechet
from piti.evaluate.features import Features
from piti.evaluate.score import check_count, jackknifed
from piti.store.archive import DAMAGE
from piti.store.files import InputError, atomic

ROUNDING = 1e-3  # of its largest number a covariance may be off: half precision is


class Reference(NamedTuple):
    """Mean d and covariance d×d of features, float64, and where they come from."""

    mean: np.ndarray
    covariance: np.ndarray
    source: str


def write(path: Path, features: Features) -> None:
    """Write the statistics of a set, atomically."""
    mean, covariance = frechet.moments(features.values)
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, mu=mean, sigma=covariance)


def read(path: Path) -> Reference:
    """Read statistics. Raises InputError where the file holds something else."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {key: file[key] for key in ("mu", "sigma")}
    except (*DAMAGE, OSError, KeyError, TypeError, AttributeError, TokenError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: found no statistics ({reason}), expected an .npz with mu and sigma") from None
    for key, array in found.items():
        if array.dtype.kind not in "fiu":
            raise InputError(f"{path}: {key}: found {array.dtype}, expected real numbers")
    mean, covariance = (array.astype(np.float64) for array in found.values())
    if mean.ndim != 1 or not len(mean) or covariance.shape != (len(mean), len(mean)):
        raise InputError(f"{path}: found mu {mean.shape} and sigma {covariance.shape}, expected d and d×d")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise InputError(f"{path}: found values that are not finite, expected numbers")
    if not np.allclose(covariance, covariance.T, rtol=0, atol=ROUNDING * np.abs(covariance).max()):
        raise InputError(f"{path}: sigma: found no symmetric matrix, expected a covariance")
    variances = np.linalg.eigvalsh(covariance)  # along the principal axes
    if variances.min() < -ROUNDING * variances.max():
        raise InputError(
            f"{path}: sigma: found variances from {variances.min():g} to {variances.max():g}, expected none below 0"
        )
    return Reference(mean, covariance, path.name)


def score(reference: Reference, fake: Features, min_images: int, seed: int = 0) -> dict:
    """The Fréchet distance of `fake` from a reference, in the form of `piti.evaluate.score.score`, without KID.

    Nobody knows by which network foreign statistics were made: only their width can be checked.
    """
    if len(reference.mean) != fake.spec.width:
        width = len(reference.mean)
        raise InputError(f"{reference.source}: found {width} features, expected {fake.spec.width} of {fake.spec.name}")
    check_count(len(fake.ids), min_images)
    if not np.isfinite(fake.values).all():
        raise InputError("features: samples: found values that are not finite, expected numbers")
    values = fake.values[np.argsort(fake.ids)].astype(np.float64)

    def distance(keep: np.ndarray) -> float:
        return frechet.distance_from_moments(reference.mean, reference.covariance, *frechet.moments(values[keep]))

    return jackknifed(distance, len(values), seed) | {
        "higher_is_better": False,
        "n": len(values),
        "extractor": {"name": fake.spec.name, "layer": fake.spec.layer},
        "reference": reference.source,
    }
