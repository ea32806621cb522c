"""Kernel Inception Distance: the unbiased squared MMD with the kernel k(x, y) = (x·y/d + 1)³ (Bińkowski et al. 2018).

Unlike the Fréchet distance it has no bias from the number of samples where these are independent, which makes it the
check beside FID. Here it is a little too low, for all methods: each sample shares its condition with a real image,
and is more like that one than like others.
"""

import numpy as np


def distance(real: np.ndarray, fake: np.ndarray) -> float:
    """KID of N×d and M×d features over the whole sets: deterministic, float64, slightly negative where they agree."""
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    return float(_within(real) + _within(fake) - 2 * _kernel(real, fake).mean())


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _within(x: np.ndarray) -> float:
    """Mean kernel value over the pairs of different members."""
    kernel = _kernel(x, x)
    return (kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1))
