"""Samplers: plain functions of a denoiser, which answers (x, timesteps) with epsilon and variance, B x 2C x H x W.

A loop starts at `x`: noise x_T, or for the inversion an image. Noise comes from `noise(i)`, i the index of the step in
the process, so that the caller decides the seeds. `clip` holds each prediction of x_start to [-1, 1]. `progress` wraps
the steps, `piti.progress` for instance.
"""

from collections.abc import Callable, Iterable, Sequence

import torch

from piti.diffusion.gaussian import GaussianDiffusion, spread
from piti.diffusion.guidance import Denoiser

Noise = Callable[[int], torch.Tensor]
Progress = Callable[[Sequence[int]], Iterable[int]]


@torch.no_grad()
def ancestral(
    denoiser: Denoiser,
    diffusion: GaussianDiffusion,
    x: torch.Tensor,
    noise: Noise,
    clip: bool = True,
    progress: Progress = iter,
) -> torch.Tensor:
    """DDPM with the learned variance."""
    for i in progress(range(diffusion.num_timesteps)[::-1]):
        t = every(i, x)
        x = ancestral_step(diffusion, denoiser(x, diffusion.network_timesteps(t)), x, t, noise(i), clip)
    return x


@torch.no_grad()
def ddim(
    denoiser: Denoiser,
    diffusion: GaussianDiffusion,
    x: torch.Tensor,
    noise: Noise | None = None,
    eta: float = 0.0,
    clip: bool = True,
    progress: Progress = iter,
) -> torch.Tensor:
    """DDIM; without `noise` it is deterministic, and `eta` must be 0."""
    for i in progress(range(diffusion.num_timesteps)[::-1]):
        t, draw = every(i, x), noise(i) if noise else torch.zeros_like(x)
        x = ddim_step(diffusion, denoiser(x, diffusion.network_timesteps(t)), x, t, draw, eta, clip)
    return x


@torch.no_grad()
def ddim_inversion(
    denoiser: Denoiser, diffusion: GaussianDiffusion, x: torch.Tensor, clip: bool = True, progress: Progress = iter
) -> torch.Tensor:
    """From an image to the noise from which deterministic DDIM returns to it (paper appendix B).

    It ends at the last index, where `ddim` starts: one step more would reach alpha-bar 0 and forget the image.
    """
    for i in progress(range(diffusion.num_timesteps - 1)):
        t = every(i, x)
        x = ddim_inversion_step(diffusion, denoiser(x, diffusion.network_timesteps(t)), x, t, clip)
    return x


def ancestral_step(
    diffusion: GaussianDiffusion,
    model_output: torch.Tensor,
    x: torch.Tensor,
    t: torch.Tensor,
    noise: torch.Tensor,
    clip: bool = True,
) -> torch.Tensor:
    """x_t -> x_{t-1}, drawn from p; no noise where t is 0."""
    p = diffusion.p_mean_variance(model_output, x, t, clip)
    return p.mean + spread(t > 0, x) * (0.5 * p.log_variance).exp() * noise


def ddim_step(
    diffusion: GaussianDiffusion,
    model_output: torch.Tensor,
    x: torch.Tensor,
    t: torch.Tensor,
    noise: torch.Tensor,
    eta: float = 0.0,
    clip: bool = True,
) -> torch.Tensor:
    """x_t -> x_{t-1} (DDIM, eq. 12 of arXiv 2010.02502); no noise where t is 0."""
    x_start = diffusion.p_mean_variance(model_output, x, t, clip).x_start
    epsilon = diffusion.predict_epsilon(x, t, x_start)
    abar, previous = diffusion.alphas_cumprod[t], diffusion.alphas_cumprod_prev[t]
    sigma = eta * ((1 - previous) / (1 - abar) * (1 - abar / previous)).sqrt()
    mean = spread(previous.sqrt(), x) * x_start + spread((1 - previous - sigma**2).sqrt(), x) * epsilon
    return mean + spread((t > 0) * sigma, x) * noise


def ddim_inversion_step(
    diffusion: GaussianDiffusion, model_output: torch.Tensor, x: torch.Tensor, t: torch.Tensor, clip: bool = True
) -> torch.Tensor:
    """x_t -> x_{t+1}, the deterministic step backwards."""
    x_start = diffusion.p_mean_variance(model_output, x, t, clip).x_start
    epsilon = diffusion.predict_epsilon(x, t, x_start)
    following = diffusion.alphas_cumprod_next[t]
    return spread(following.sqrt(), x) * x_start + spread((1 - following).sqrt(), x) * epsilon


def every(i: int, x: torch.Tensor) -> torch.Tensor:
    """The index `i` for every sample of `x`."""
    return torch.full((len(x),), i, device=x.device)
