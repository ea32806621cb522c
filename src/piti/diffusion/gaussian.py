"""The Gaussian diffusion process: q, p with learned range of variance, and the relations between x_t, x_start, epsilon.

`t` is an index per sample (int64, B) into the process at hand, which may be a respaced one; images are B x C x H x W
on the scale [-1, 1]. Tables are float64 and are rounded to the image's type only after the look-up.
"""

from typing import NamedTuple

import numpy as np
import torch

from piti.diffusion.respacing import kept_steps
from piti.diffusion.schedule import betas as schedule_betas
from piti.diffusion.schedule import spaced_betas


class Prediction(NamedTuple):
    """p(x_{t-1} | x_t) as the network sees it."""

    mean: torch.Tensor
    log_variance: torch.Tensor
    x_start: torch.Tensor


class GaussianDiffusion:
    """Tables of a process and the formulas that use them."""

    def __init__(self, schedule: str, steps: int = 1000, respacing: str = "", device: torch.device | str = "cpu"):
        original = schedule_betas(schedule, steps)
        kept = kept_steps(steps, respacing)
        betas = spaced_betas(original, kept)
        alphas_cumprod = np.cumprod(1 - betas)
        previous = np.append(1.0, alphas_cumprod[:-1])
        posterior_variance = betas * (1 - previous) / (1 - alphas_cumprod)
        clipped = np.append(posterior_variance[1:2], posterior_variance[1:]) if len(kept) > 1 else betas

        def table(values: np.ndarray) -> torch.Tensor:
            return torch.as_tensor(values, dtype=torch.float64, device=device)

        self.num_timesteps = len(kept)
        self.timesteps = table(np.array(kept) * (1000 / steps))  # what the network is told, on its scale 0..999
        self.betas = table(betas)
        self.alphas_cumprod = table(alphas_cumprod)
        self.alphas_cumprod_prev = table(previous)
        self.alphas_cumprod_next = table(np.append(alphas_cumprod[1:], 0.0))
        self.posterior_variance = table(posterior_variance)
        self.log_betas = table(np.log(betas))
        self.posterior_log_variance_clipped = table(np.log(clipped))  # entry 0, which is log 0, repeats entry 1
        self.posterior_mean_coef1 = table(betas * np.sqrt(previous) / (1 - alphas_cumprod))
        self.posterior_mean_coef2 = table((1 - previous) * np.sqrt(1 - betas) / (1 - alphas_cumprod))

    def network_timesteps(self, t: torch.Tensor) -> torch.Tensor:
        """The timestep that the network receives: the index in the original process, float32."""
        return self.timesteps[t].float()

    def q_sample(self, x_start: torch.Tensor, t: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """x_t = sqrt(abar) x_start + sqrt(1 - abar) noise (paper eq. 2)."""
        abar = self.alphas_cumprod[t]
        return spread(abar.sqrt(), x_start) * x_start + spread((1 - abar).sqrt(), x_start) * noise

    def predict_x_start(self, x: torch.Tensor, t: torch.Tensor, epsilon: torch.Tensor) -> torch.Tensor:
        """(x_t - sqrt(1 - abar) epsilon) / sqrt(abar)."""
        abar = self.alphas_cumprod[t]
        return spread((1 / abar).sqrt(), x) * x - spread((1 / abar - 1).sqrt(), x) * epsilon

    def predict_epsilon(self, x: torch.Tensor, t: torch.Tensor, x_start: torch.Tensor) -> torch.Tensor:
        """The epsilon that belongs to `x_start`, which may have been clipped."""
        abar = self.alphas_cumprod[t]
        return (spread((1 / abar).sqrt(), x) * x - x_start) / spread((1 / abar - 1).sqrt(), x)

    def posterior_mean(self, x_start: torch.Tensor, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Mean of q(x_{t-1} | x_t, x_start)."""
        return spread(self.posterior_mean_coef1[t], x) * x_start + spread(self.posterior_mean_coef2[t], x) * x

    def p_mean_variance(
        self, model_output: torch.Tensor, x: torch.Tensor, t: torch.Tensor, clip: bool = True
    ) -> Prediction:
        """Read the network's output (B x 2C: epsilon, variance); `clip` holds x_start to [-1, 1].

        The second half, v, lies the log variance between those of beta-tilde (v = -1) and beta (v = 1).
        """
        epsilon, v = model_output.chunk(2, dim=1)
        x_start = self.predict_x_start(x, t, epsilon)
        if clip:
            x_start = x_start.clamp(-1, 1)
        fraction = (v + 1) / 2
        lower, upper = self.posterior_log_variance_clipped[t], self.log_betas[t]
        log_variance = fraction * spread(upper, x) + (1 - fraction) * spread(lower, x)
        return Prediction(self.posterior_mean(x_start, x, t), log_variance, x_start)


def spread(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """One number per sample, in the type of `x` and shaped to multiply it."""
    return values.to(x.dtype).view(-1, *[1] * (x.ndim - 1))
