"""Fréchet distance: ours against SciPy's general matrix square root, as the usual implementations have it (facts 6)."""

from collections.abc import Iterator

import numpy as np
import torch
from scipy import linalg

from bench.measure import Line, compare
from bench.sizes import Sizes
from piti.evaluate.frechet import distance


def frechet(sizes: Sizes, device: torch.device, repeat: int) -> Iterator[Line]:
    """Seconds from two sets of features to their distance, on the CPU."""
    for count, width in sizes.features:
        real, fake = features(count, width)
        yield compare(
            f"frechet_{width}d_{count}_images",
            lambda real=real, fake=fake: distance(real, fake),
            lambda real=real, fake=fake: straightforward(real, fake),
            torch.device("cpu"),
            repeat,
            tolerance=1e-3,
            aim=4.0,
        )


def features(count: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of features whose spectrum falls as that of natural ones; they differ in mean and in scale."""
    draw, spectrum = np.random.default_rng(0), 1 / np.sqrt(1 + np.arange(width))
    rotation = np.linalg.qr(draw.standard_normal((width, width)))[0]
    real, fake = (draw.standard_normal((2, count, width)) * spectrum) @ rotation
    return real.astype(np.float32), (1.2 * fake + 0.05).astype(np.float32)


def straightforward(real: np.ndarray, fake: np.ndarray) -> float:
    """Means, covariances, the root of their product; its imaginary part is thrown away."""
    mean1, mean2 = real.mean(axis=0), fake.mean(axis=0)
    cov1, cov2 = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    root = linalg.sqrtm(cov1 @ cov2).real
    return float(np.sum((mean1 - mean2) ** 2) + np.trace(cov1 + cov2 - 2 * root))
