"""The training loss: closed forms, and which output channel learns from which term."""

import math

import pytest
import torch

from piti.diffusion.gaussian import GaussianDiffusion
from piti.diffusion.losses import discretized_gaussian_log_likelihood, normal_kl, training_losses

DIFFUSION = GaussianDiffusion("squaredcos_cap_v2")


def batch(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    x_start = torch.rand(4, 3, 8, 8, dtype=dtype, generator=generator) * 2 - 1
    noise = torch.randn(4, 3, 8, 8, dtype=dtype, generator=generator)
    t = torch.tensor([0, 1, 500, 999])
    return x_start, DIFFUSION.q_sample(x_start, t, noise), t, noise


def test_the_true_answer_costs_nothing():
    """Epsilon right and the variance of the posterior: both terms vanish, except the likelihood at t = 0."""
    x_start, x_t, t, noise = batch()
    output = torch.cat([noise, -torch.ones_like(noise)], dim=1)
    losses = training_losses(DIFFUSION, output, x_start, x_t, t, noise)
    torch.testing.assert_close(losses.mse, torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(losses.vb[1:], torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-8)
    assert losses.vb[0] > 0
    torch.testing.assert_close(losses.x_start, x_start, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(losses.loss, losses.mse + losses.vb)


def test_the_bound_trains_the_variance_only():
    x_start, x_t, t, noise = batch()
    output = torch.zeros(4, 6, 8, 8, dtype=torch.float64, requires_grad=True)
    losses = training_losses(DIFFUSION, output, x_start, x_t, t, noise)
    (mse,) = torch.autograd.grad(losses.mse.sum(), output, retain_graph=True)
    (vb,) = torch.autograd.grad(losses.vb.sum(), output)
    assert mse[:, :3].abs().sum() > 0 and not mse[:, 3:].any()
    assert (vb[:, 3:].flatten(1).abs().sum(1) > 0).all() and not vb[:, :3].any()


def test_images_for_other_losses_are_differentiable():
    x_start, x_t, t, noise = batch()
    output = torch.zeros(4, 6, 8, 8, dtype=torch.float64, requires_grad=True)
    predicted = training_losses(DIFFUSION, output, x_start, x_t, t, noise).x_start
    assert torch.autograd.grad(predicted[1].sum(), output)[0][1, :3].any()


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


def test_bf16_free_and_finite_everywhere():
    """Saturated variance channels and far-off epsilons must not end in NaN."""
    x_start, x_t, t, noise = batch(torch.float32)
    output = torch.cat([30 * noise, 5 * noise], dim=1).requires_grad_()
    losses = training_losses(DIFFUSION, output, x_start, x_t, t, noise)
    losses.loss.sum().backward()
    assert losses.loss.isfinite().all() and output.grad.isfinite().all()
