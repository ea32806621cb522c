"""Classifier-free guidance, plain and normalised (paper eq. 7 and 8).

The paper's strength is w: epsilon-hat = cond + w (cond - null), and w = 0 is no guidance. The released code writes
null + s (cond - null); s = 1 + w.
"""

from collections.abc import Callable
from typing import Literal

import torch

Denoiser = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Statistics = Literal["none", "sample", "channel"]


def guided(denoiser: Denoiser, w: float, statistics: Statistics) -> Denoiser:
    """A denoiser for B images from one for 2B, whose first half of the batch is conditional, the second half null.

    The variance channels come from the conditional half.
    """

    def denoise(x: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        cond, null = denoiser(torch.cat([x, x]), torch.cat([timesteps, timesteps])).chunk(2)
        epsilon, variance = cond.chunk(2, dim=1)
        return torch.cat([guide(epsilon, null.chunk(2, dim=1)[0], w, statistics), variance], dim=1)

    return denoise


def guide(cond: torch.Tensor, null: torch.Tensor, w: float, statistics: Statistics) -> torch.Tensor:
    """Equation 7, and unless `statistics` is "none" equation 8: (sigma / sigma-hat) (epsilon-hat - mu-hat) + mu.

    mu and sigma are taken from the conditional estimate over each "sample" or each "channel" of a sample.
    """
    epsilon = cond + w * (cond - null)
    if statistics == "none":
        return epsilon
    axes = {"sample": (1, 2, 3), "channel": (2, 3)}[statistics]
    sigma, mu = torch.std_mean(cond, dim=axes, keepdim=True)
    sigma_hat, mu_hat = torch.std_mean(epsilon, dim=axes, keepdim=True)
    return sigma / sigma_hat.clamp(min=1e-12) * (epsilon - mu_hat) + mu
