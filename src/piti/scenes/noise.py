"""Random texture for the synthetic scenes: one tileable atlas, made once for a resolution, looked up by every scene."""

from functools import cache

import numpy as np

PERIOD = 4  # image widths after which the texture repeats
_FULL = 1024  # texels of the finest atlas: resolutions above 256 px see it magnified

VALUE, SLOPE_X, SLOPE_Y, GRAIN = range(4)


@cache
def _atlas(resolution: int) -> tuple[np.ndarray, int]:
    """Texels×4: fractal noise, its two slopes, and a fine band-limited grain; each of unit variance.

    The spectrum is drawn once and cut off at the picture's own resolution, so that a scene keeps its texture at every
    resolution and nothing finer than a pixel is left to alias.
    """
    texels = min(_FULL, 1 << (PERIOD * resolution - 1).bit_length())
    white = np.fft.fft2(np.random.default_rng(0).standard_normal((_FULL, _FULL)))
    keep = np.fft.fftfreq(texels, 1 / texels).astype(int)
    white = white[keep[:, None], keep]
    frequency = np.hypot(keep[:, None], keep) / PERIOD  # cycles per image width
    fractal = white * np.where(frequency > 0.5, np.maximum(frequency, 1e-9) ** -1.7, 0)
    slope = 2j * np.pi * fractal * np.minimum(1, 14 / np.maximum(frequency, 1e-9)) ** 0.7
    band = white[::-1] * np.exp(-(((frequency - 15) / 7) ** 2))
    planes = [np.fft.ifft2(p).real for p in (fractal, slope * keep, slope * keep[:, None], band)]
    atlas = np.stack([p / p.std() for p in planes], axis=-1).astype(np.float32)
    return atlas.reshape(-1, 4), texels


def texture(resolution: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(…, 4) float32: VALUE, SLOPE_X, SLOPE_Y, GRAIN of the atlas at (u, v), in image widths."""
    atlas, texels = _atlas(resolution)
    scale = np.float32(texels / PERIOD)
    mask = texels - 1
    index = ((v * scale).astype(np.int32) & mask) * texels + ((u * scale).astype(np.int32) & mask)
    return atlas[index]


@cache
def _wave() -> np.ndarray:
    return np.random.default_rng(1).random(4096, np.float32)


def profile(x: np.ndarray, octaves: int) -> np.ndarray:
    """Fractal noise of one variable, about 0..1, unit period in the first octave."""
    total, weight = np.zeros_like(x), 0.0
    for octave in range(octaves):
        at = x * np.float32(2**octave) + np.float32(17.3 * octave)
        cell = np.floor(at)
        t = at - cell
        i = cell.astype(np.int32)
        a, b = _wave()[i & 4095], _wave()[(i + 1) & 4095]
        total += (a + (b - a) * t * t * (3 - 2 * t)) * np.float32(0.5**octave)
        weight += 0.5**octave
    return total / np.float32(weight)
