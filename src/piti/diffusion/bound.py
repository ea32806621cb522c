"""The variational bound, by which a network learns its variance within the range that it predicts (facts 1.2)."""

import math

import torch

from piti.diffusion.gaussian import GaussianDiffusion, spread


def variational_bound(
    diffusion: GaussianDiffusion, model_output: torch.Tensor, x_start: torch.Tensor, x_t: torch.Tensor, t: torch.Tensor
) -> torch.Tensor:
    """KL(q(x_{t-1} | x_t, x_start) || p(x_{t-1} | x_t)), at t = 0 the negative log likelihood; bits/dim, B."""
    true_mean = diffusion.posterior_mean(x_start, x_t, t)
    true_log_variance = spread(diffusion.posterior_log_variance_clipped[t], x_t)
    p = diffusion.p_mean_variance(model_output, x_t, t, clip=False)
    kl = mean_flat(normal_kl(true_mean, true_log_variance, p.mean, p.log_variance))
    nll = mean_flat(-discretized_gaussian_log_likelihood(x_start, p.mean, 0.5 * p.log_variance))
    return torch.where(t == 0, nll, kl) / math.log(2)


def normal_kl(
    mean1: torch.Tensor, log_variance1: torch.Tensor, mean2: torch.Tensor, log_variance2: torch.Tensor
) -> torch.Tensor:
    """KL(N(mean1, exp(log_variance1)) || N(mean2, exp(log_variance2))), element by element, nats."""
    difference = log_variance1 - log_variance2
    return 0.5 * (difference.exp() - 1 - difference + (mean1 - mean2) ** 2 * (-log_variance2).exp())


def discretized_gaussian_log_likelihood(x: torch.Tensor, means: torch.Tensor, log_scales: torch.Tensor) -> torch.Tensor:
    """Log probability of the 8-bit level of `x` (in [-1, 1]) under a Gaussian, nats; the end levels are open."""
    centred, inverse = x - means, (-log_scales).exp()
    upper = standard_normal_cdf((centred + 1 / 255) * inverse)
    lower = standard_normal_cdf((centred - 1 / 255) * inverse)
    probability = torch.where(x < -0.999, upper, torch.where(x > 0.999, 1 - lower, upper - lower))
    return probability.clamp(min=1e-12).log()


def standard_normal_cdf(x: torch.Tensor) -> torch.Tensor:
    """The tanh approximation that the reference trains with (it differs from erf by up to 2e-4)."""
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def mean_flat(values: torch.Tensor) -> torch.Tensor:
    """Mean over all axes but the batch."""
    return values.flatten(1).mean(dim=1)
