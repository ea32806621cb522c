"""The variational bound: closed forms."""

import math

import pytest
import torch

from piti.diffusion.bound import discretized_gaussian_log_likelihood, normal_kl


def test_kl_is_torch_s():
    a, b = torch.distributions.Normal(0.3, 0.7), torch.distributions.Normal(-0.2, 1.9)
    got = normal_kl(a.mean, a.variance.log(), b.mean, b.variance.log())
    torch.testing.assert_close(got, torch.distributions.kl_divergence(a, b))


@pytest.mark.parametrize("mean, scale", [(0.0, 0.02), (0.4, 0.1), (-0.99, 0.05), (1.0, 0.5)])
def test_levels_share_all_probability(mean, scale):
    levels = (torch.arange(256, dtype=torch.float64) / 127.5) - 1
    log_likelihood = discretized_gaussian_log_likelihood(
        levels, torch.full_like(levels, mean), torch.full_like(levels, math.log(scale))
    )
    assert math.isclose(log_likelihood.exp().sum().item(), 1.0, abs_tol=1e-6)
