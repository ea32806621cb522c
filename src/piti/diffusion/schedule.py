"""Noise schedules: beta of every step of the original process, float64 (facts 2.3)."""

import numpy as np

from piti.store.files import InputError


def linear(steps: int) -> np.ndarray:
    """Evenly spaced from 1e-4 to 0.02 for 1000 steps; other counts are scaled to keep the same total noise."""
    scale = 1000 / steps
    return np.linspace(scale * 1e-4, scale * 0.02, steps)


def squaredcos_cap_v2(steps: int) -> np.ndarray:
    """From alpha-bar(u) = cos²((u + 0.008) / 1.008 · pi / 2), u in [0, 1]; no beta exceeds 0.999."""
    alpha_bar = np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.minimum(1 - alpha_bar[1:] / alpha_bar[:-1], 0.999)


SCHEDULES = {"linear": linear, "squaredcos_cap_v2": squaredcos_cap_v2}


def betas(name: str, steps: int) -> np.ndarray:
    """The schedule called `name`."""
    if name not in SCHEDULES:
        raise InputError(f"schedule: found {name!r}, expected one of {', '.join(SCHEDULES)}")
    return SCHEDULES[name](steps)


def spaced_betas(betas: np.ndarray, kept: list[int]) -> np.ndarray:
    """Betas of the process on the kept steps: the same alpha-bar at each of them."""
    alphas_cumprod = np.cumprod(1 - betas)[kept]
    return 1 - alphas_cumprod / np.append(1.0, alphas_cumprod[:-1])
