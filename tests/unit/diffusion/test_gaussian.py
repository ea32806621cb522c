"""The process: identities that hold for every schedule, length and respacing."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from piti.diffusion.gaussian import GaussianDiffusion
from piti.diffusion.respacing import kept_steps
from piti.diffusion.schedule import betas, spaced_betas
from piti.store.files import InputError

PROCESSES = [
    ("linear", 1000, ""),
    ("squaredcos_cap_v2", 1000, "250"),
    ("linear", 1000, "fast27"),
    ("squaredcos_cap_v2", 100, "ddim20"),
    ("linear", 250, "5,3"),
    ("squaredcos_cap_v2", 40, "1"),
]


def picture(seed, batch=1):
    return torch.rand(batch, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("process", PROCESSES)
def test_tables(process):
    diffusion = GaussianDiffusion(*process)
    abar, previous = diffusion.alphas_cumprod, diffusion.alphas_cumprod_prev
    assert (abar.diff() < 0).all() and (diffusion.betas > 0).all() and (diffusion.betas < 1).all()
    torch.testing.assert_close(abar, previous * (1 - diffusion.betas))
    torch.testing.assert_close(abar[1:], diffusion.alphas_cumprod_next[:-1])
    # q(x_{t-1} | x_t, x_start) must give back q(x_{t-1} | x_start) when x_t is drawn from q
    coef1, coef2 = diffusion.posterior_mean_coef1, diffusion.posterior_mean_coef2
    torch.testing.assert_close(coef1 + coef2 * abar.sqrt(), previous.sqrt())
    torch.testing.assert_close(coef2**2 * (1 - abar) + diffusion.posterior_variance, 1 - previous)


@pytest.mark.parametrize("process", PROCESSES)
def test_respacing_keeps_alpha_bar(process):
    schedule, steps, respacing = process
    kept = kept_steps(steps, respacing)
    want = np.cumprod(1 - betas(schedule, steps))[kept]
    np.testing.assert_allclose(np.cumprod(1 - spaced_betas(betas(schedule, steps), kept)), want, rtol=1e-10)
    diffusion = GaussianDiffusion(*process)
    t = torch.arange(len(kept))
    torch.testing.assert_close(diffusion.network_timesteps(t), torch.tensor(kept) * (1000 / steps), check_dtype=False)


@pytest.mark.parametrize("process", PROCESSES)
def test_x_start_and_epsilon_are_two_names_of_one_thing(process):
    diffusion = GaussianDiffusion(*process)
    t = torch.arange(diffusion.num_timesteps)
    x_start, noise = picture(0).expand(len(t), -1, -1, -1), torch.randn(len(t), 3, 4, 4, dtype=torch.float64)
    x = diffusion.q_sample(x_start, t, noise)
    torch.testing.assert_close(diffusion.predict_x_start(x, t, noise), x_start, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(diffusion.predict_epsilon(x, t, x_start), noise, rtol=1e-6, atol=1e-6)


def test_learned_range_ends_and_clipping():
    diffusion = GaussianDiffusion("squaredcos_cap_v2", respacing="50")
    x, t = 3 * picture(1, batch=4), torch.tensor([0, 1, 30, 49])
    epsilon = picture(2, batch=4)
    for v, table in ((1.0, diffusion.log_betas), (-1.0, diffusion.posterior_log_variance_clipped)):
        output = torch.cat([epsilon, torch.full_like(epsilon, v)], dim=1)
        p = diffusion.p_mean_variance(output, x, t)
        torch.testing.assert_close(p.log_variance, table[t].view(-1, 1, 1, 1).expand_as(x))
        assert p.x_start.abs().max() <= 1
    assert diffusion.p_mean_variance(output, x, t, clip=False).x_start.abs().max() > 1


def test_every_sample_has_its_own_timestep():
    diffusion = GaussianDiffusion("linear", respacing="fast27")
    x, t, output = picture(3, batch=3), torch.tensor([26, 0, 13]), torch.randn(3, 6, 4, 4, dtype=torch.float64)
    together = diffusion.p_mean_variance(output, x, t)
    for i in range(3):
        alone = diffusion.p_mean_variance(output[i : i + 1], x[i : i + 1], t[i : i + 1])
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[i : i + 1], b)


@given(steps=st.integers(30, 1200), counts=st.lists(st.integers(1, 30), min_size=1, max_size=4))
def test_sections(steps, counts):
    respacing = ",".join(map(str, counts))
    size = steps // len(counts)
    if max(counts) > size + 1:
        with pytest.raises(InputError):
            kept_steps(steps, respacing)
    elif max(counts) <= size:
        kept = kept_steps(steps, respacing)
        assert kept == sorted(set(kept)) and len(kept) == sum(counts)
        assert kept[0] == 0 and (counts[-1] == 1 or kept[-1] == steps - 1)


@pytest.mark.parametrize("respacing", ["ddim333", "many", "2000", "0", "ddim", "-5", "10,"])
def test_respacing_that_does_not_fit(respacing):
    with pytest.raises(InputError, match="respacing: found"):
        kept_steps(1000, respacing)


def test_unknown_schedule():
    with pytest.raises(InputError, match="schedule: found 'cosine', expected one of linear"):
        GaussianDiffusion("cosine")
