"""The upsampler's degraded inputs: the L0 filter alone, and the whole chain (facts 1.6)."""

from collections.abc import Iterator
from unittest import mock

import cv2
import numpy as np
import torch
from scipy import ndimage, stats

from bench.measure import Line, compare
from bench.sizes import Sizes
from piti import scenes
from piti.data import degradation
from piti.data.l0_smooth import l0_smooth

AIM = 3.0


def degraded(sizes: Sizes, device: torch.device, repeat: int) -> Iterator[Line]:
    """Photographs/s of one CPU core. Both chains make the same decisions."""
    cv2.setNumThreads(1)
    photographs = scenes.render(0, np.arange(sizes.degraded), sizes.resolution).image
    some = photographs[:4] / np.float32(255)

    def chain() -> np.ndarray:
        rngs = [np.random.default_rng([0, i]) for i in range(len(photographs))]
        return np.stack([degradation.degrade(p, 4, rng) for p, rng in zip(photographs, rngs, strict=True)])

    def straightforward_chain() -> np.ndarray:
        with mock.patch.multiple(
            degradation,
            gaussian_kernel=straightforward_gaussian_kernel,
            convolve=straightforward_convolve,
            halve=straightforward_halve,
            l0_smooth=straightforward_l0_smooth,
        ):
            return chain()

    yield compare(
        "l0_smooth",
        lambda: np.stack([l0_smooth(p, 2e-3) for p in some]),
        lambda: np.stack([straightforward_l0_smooth(p, 2e-3) for p in some]),
        torch.device("cpu"),
        repeat,
        tolerance=0.01,
        aim=AIM,
        images=len(some),
    )
    yield compare(
        "degradation",
        chain,
        straightforward_chain,
        torch.device("cpu"),
        repeat,
        tolerance=0.02,
        aim=AIM,
        images=len(photographs),
    )


def straightforward_l0_smooth(image: np.ndarray, lam: float, kappa: float = 2.0, beta_max: float = 1e5) -> np.ndarray:
    """Complex Fourier transforms in float64, one channel at a time."""
    s = image.astype(np.float64)
    height, width, channels = s.shape
    along_x, along_y = np.zeros((2, height, width))
    along_x[0, 0] = along_y[0, 0] = -1
    along_x[0, -1] = along_y[-1, 0] = 1
    laplacian = np.abs(np.fft.fft2(along_x)) ** 2 + np.abs(np.fft.fft2(along_y)) ** 2
    spectra = [np.fft.fft2(s[:, :, c]) for c in range(channels)]
    beta = 2 * lam
    while beta < beta_max:
        h = np.roll(s, -1, axis=1) - s
        v = np.roll(s, -1, axis=0) - s
        flat = (h**2 + v**2).sum(axis=2) < lam / beta
        h[flat] = v[flat] = 0
        divergence = np.roll(h, 1, axis=1) - h + np.roll(v, 1, axis=0) - v
        for c in range(channels):
            target = (spectra[c] + beta * np.fft.fft2(divergence[:, :, c])) / (1 + beta * laplacian)
            s[:, :, c] = np.fft.ifft2(target).real
        beta *= kappa
    return s


def straightforward_gaussian_kernel(size: int, theta: float, variance_1: float, variance_2: float) -> np.ndarray:
    """The normal density of SciPy, pixel by pixel."""
    axes = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    covariance = axes @ np.diag([variance_1, variance_2]) @ axes.T
    kernel = np.empty((size, size))
    for y in range(size):
        for x in range(size):
            place = np.array([x, y]) - (size - 1) / 2
            kernel[y, x] = stats.multivariate_normal.pdf(place, mean=[0, 0], cov=covariance)
    return kernel / kernel.sum()


def straightforward_convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """SciPy's convolution in three dimensions."""
    return ndimage.convolve(image, kernel[:, :, None], mode="mirror")


def straightforward_halve(image: np.ndarray) -> np.ndarray:
    """MATLAB's bicubic reduction by 2, one output row and column after the other."""
    t = np.abs(np.arange(8) - 3.5) / 2
    taps = np.where(t < 1, 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2)
    taps /= taps.sum()
    for _ in range(2):  # along the first axis, which the second time is the other one
        padded = np.pad(image, ((3, 3), (0, 0), (0, 0)), mode="symmetric")
        rows = [np.tensordot(taps, padded[i : i + 8], axes=1) for i in range(0, len(image), 2)]
        image = np.stack(rows).transpose(1, 0, 2)
    return image
