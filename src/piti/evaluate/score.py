"""One score: the Fréchet distance of generated to real images, with everything needed to trust or refuse it."""

from collections.abc import Callable
from dataclasses import asdict

import numpy as np

from piti.evaluate import frechet, kid
from piti.evaluate.features import Features
from piti.evaluate.intervals import Estimate, jackknife, random_groups
from piti.store.files import InputError

GROUPS = 20  # of the jackknife
KEYS = ("value", "pseudo_values", "sizes", "higher_is_better", "n", "extractor", "reference", "seed")  # for comparing


def score(real: Features, fake: Features, min_images: int, seed: int = 0) -> dict:
    """The score of `fake` against the reference `real`, ready for JSON.

    The ids must correspond, one sample for each test condition: the order may differ, the number may not, because the
    distance depends on it. `seed` deals the images into the groups of the jackknife; equal seeds make two scores
    comparable in pairs (see `difference`).

    Keys: value, interval (95 %, of the score expected at this n), standard_error, debiased (extrapolated to infinite
    n), kid, higher_is_better (it is not), n, extractor (name, layer, width, resize, weights), reference (digest), seed,
    pseudo_values, sizes.
    Raises InputError when the two sets cannot be compared, or have fewer than `min_images` images.
    """
    _check(real, fake, min_images)
    x, y = (features.values[np.argsort(features.ids)].astype(np.float64) for features in (real, fake))
    return jackknifed(lambda keep: frechet.distance(x[keep], y[keep]), len(x), seed) | {
        "kid": kid.distance(x, y),
        "higher_is_better": False,
        "n": len(x),
        "extractor": asdict(real.spec),
        "reference": real.digest,
    }


def jackknifed(statistic: Callable[[np.ndarray], float], count: int, seed: int = 0) -> dict:
    """A statistic of `count` images, given the indices of some, with its interval: the keys that every score has."""
    found = jackknife(statistic, random_groups(count, GROUPS, np.random.default_rng(seed)))
    return {
        "value": found.value,
        "interval": list(found.interval()),
        "standard_error": found.standard_error,
        "debiased": found.debiased,
        "seed": seed,
        "pseudo_values": found.pseudo_values.tolist(),
        "sizes": found.sizes.tolist(),
    }


def difference(a: dict, b: dict) -> Estimate:
    """The paired difference a - b of two scores.

    Raises InputError unless both have the same n, extractor, reference and seed.
    """
    for key in ("n", "extractor", "reference", "seed"):
        if a[key] != b[key]:
            raise InputError(f"scores: {key}: {_unlike(a[key], b[key])}, expected the same in both")
    return estimate(a) - estimate(b)


def _unlike(one, other) -> str:
    """Two values that differ; of an extractor, only those of its keys that do."""
    if not isinstance(one, dict):
        return f"found {one} and {other}"
    keys = [key for key in one | other if one.get(key) != other.get(key)]
    first, second = (", ".join(str(each.get(key)) for key in keys) for each in (one, other))
    return f"{', '.join(keys)}: found {first} and {second}"


def estimate(scored: dict) -> Estimate:
    """What the jackknife has left in a score."""
    return Estimate(scored["value"], np.array(scored["pseudo_values"]), np.array(scored["sizes"]))


def check_count(count: int, min_images: int) -> None:
    """Raises InputError where a score would rest on too few images."""
    least = max(min_images, 3)  # the jackknife leaves one out, and two are needed for a covariance
    if count < least:
        raise InputError(f"n: found {count} images, expected at least {least} (min_images)")


def _check(real: Features, fake: Features, min_images: int) -> None:
    if real.spec != fake.spec:
        raise InputError(
            f"features: extractor: found {fake.spec} for the samples, expected the reference's {real.spec}"
        )
    if len(fake.ids) != len(real.ids):
        raise InputError(f"features: n: found {len(fake.ids)} samples, expected one for each of {len(real.ids)} images")
    check_count(len(real.ids), min_images)
    if strangers := sorted(set(real.ids) ^ set(fake.ids)):
        raise InputError(f"features: ids: found {strangers[0]} in one set only, expected the same ids in both")
    for features, role in ((real, "reference"), (fake, "samples")):
        if not np.isfinite(features.values).all():
            raise InputError(f"features: {role}: found values that are not finite, expected numbers")
