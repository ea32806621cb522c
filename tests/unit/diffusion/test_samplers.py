"""Samplers against distributions with a known answer, guidance, and the 8-bit hand-over."""

import pytest
import torch

from piti.diffusion.gaussian import GaussianDiffusion, spread
from piti.diffusion.guidance import guide, guided
from piti.diffusion.quantise import truncate_to_8_bit
from piti.diffusion.samplers import ancestral, ddim, ddim_inversion

MEAN, SPREAD = 0.3, 0.2
DIFFUSION = GaussianDiffusion("linear", respacing="400")


def perfect(diffusion, v=-1.0):
    """The best denoiser of pixels that are independently N(MEAN, SPREAD²)."""
    index = {float(timestep): i for i, timestep in enumerate(diffusion.network_timesteps(torch.arange(400)))}

    def denoiser(x, timesteps):
        abar = diffusion.alphas_cumprod[[index[float(timestep)] for timestep in timesteps]]
        marginal = abar * SPREAD**2 + 1 - abar
        centred = x - spread(abar.sqrt() * MEAN, x)
        return torch.cat([spread((1 - abar).sqrt() / marginal, x) * centred, torch.full_like(x, v)], dim=1)

    return denoiser


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def noise(i):
    return draw(1000 + i, 2, 3, 32, 32)


@pytest.mark.parametrize("v", [-1.0, 1.0])
def test_ancestral_samples_the_distribution(v):
    x = ancestral(perfect(DIFFUSION, v), DIFFUSION, draw(0, 2, 3, 32, 32), noise, clip=False)
    assert abs(x.mean() - MEAN) < 0.01 and abs(x.std() - SPREAD) < 0.015


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_samples_the_distribution(eta):
    x = ddim(perfect(DIFFUSION), DIFFUSION, draw(0, 2, 3, 32, 32), noise, eta, clip=False)
    assert abs(x.mean() - MEAN) < 0.01 and abs(x.std() - SPREAD) < 0.015


def test_ddim_with_eta_1_is_ancestral_with_the_lower_variance():
    start = draw(0, 2, 3, 32, 32)
    want = ancestral(perfect(DIFFUSION, -1.0), DIFFUSION, start, noise, clip=False)
    torch.testing.assert_close(ddim(perfect(DIFFUSION), DIFFUSION, start, noise, 1.0, clip=False), want)


def test_ddim_inversion_returns():
    image = (MEAN + SPREAD * draw(5, 1, 3, 8, 8)).clamp(-1, 1)
    latent = ddim_inversion(perfect(DIFFUSION), DIFFUSION, image, clip=False)
    assert abs(latent.std() - 1) < 0.2
    back = ddim(perfect(DIFFUSION), DIFFUSION, latent, clip=False)
    assert (back - image).abs().mean() < 0.02


def test_progress_sees_the_steps_and_clipping_holds():
    seen = []

    def progress(steps):
        for step in steps:
            seen.append(step)
            yield step

    wild = lambda x, timesteps: torch.cat([-9 * torch.ones_like(x), -torch.ones_like(x)], dim=1)  # noqa: E731
    x = ancestral(wild, DIFFUSION, draw(0, 1, 3, 8, 8), lambda i: draw(i, 1, 3, 8, 8), progress=progress)
    assert seen == list(range(399, -1, -1))
    assert x.abs().max() <= 1


def test_samples_do_not_depend_on_the_batch():
    def noise_of(images):
        return lambda i: torch.stack([draw(1000 * image + i, 3, 8, 8) for image in images])

    def run(images):
        start = torch.stack([draw(1000 * image + 99_999, 3, 8, 8) for image in images])
        return ancestral(perfect(DIFFUSION), DIFFUSION, start, noise_of(images))

    torch.testing.assert_close(run([0, 1, 2])[1:], run([1, 2]))


def test_guidance():
    cond, null = draw(0, 2, 3, 8, 8) * torch.tensor([0.5, 1, 2]).view(3, 1, 1) + 0.3, draw(1, 2, 3, 8, 8)
    torch.testing.assert_close(guide(cond, null, 0.0, "none"), cond)
    torch.testing.assert_close(guide(cond, null, 0.5, "none"), null + 1.5 * (cond - null))  # s = 1 + w
    for statistics, axes in (("sample", (1, 2, 3)), ("channel", (2, 3))):
        torch.testing.assert_close(guide(cond, null, 0.0, statistics), cond)
        got = guide(cond, null, 2.0, statistics)
        for reduce in (torch.mean, torch.std):
            torch.testing.assert_close(reduce(got, dim=axes), reduce(cond, dim=axes), rtol=1e-4, atol=1e-5)
    flat = torch.ones(1, 3, 4, 4)
    assert guide(flat, flat, 1.0, "sample").isfinite().all()


def test_guided_takes_the_variance_of_the_conditional_half():
    def denoiser(x, timesteps):
        assert len(x) == len(timesteps) == 4 and torch.equal(x[:2], x[2:])
        half = torch.tensor([1.0, 1.0, -1.0, -1.0]).view(4, 1, 1, 1)
        return torch.cat([half * x, half * 7 * torch.ones_like(x)], dim=1)

    x = draw(0, 2, 3, 4, 4)
    epsilon, variance = guided(denoiser, 0.3, "none")(x, torch.tensor([3.0, 3.0])).chunk(2, dim=1)
    torch.testing.assert_close(epsilon, x + 0.3 * 2 * x)
    assert (variance == 7).all()


def test_hand_over_cuts_down():
    x = torch.tensor([-2.0, -1.0, -1 + 1.9 / 127.5, 0.0, 1 - 0.1 / 127.5, 1.0, 3.0])
    want = torch.tensor([0, 0, 1, 127, 254, 255, 255]) / 127.5 - 1
    torch.testing.assert_close(truncate_to_8_bit(x), want)


def test_the_more_steps_the_better_an_image_returns_from_its_inversion():
    """Images of correlated pixels and their exact denoiser, on the base model's schedule, clipped as in sampling."""
    basis = 0.25 * draw(1, 8, 192)
    values, vectors = torch.linalg.eigh((basis.T @ basis + 0.05**2 * torch.eye(192)).double())
    image = (draw(2, 4, 8) @ basis + 0.05 * draw(3, 4, 192)).clamp(-1, 1).view(4, 3, 8, 8)

    def lost(respacing):
        diffusion = GaussianDiffusion("squaredcos_cap_v2", respacing=respacing)
        abars = dict(zip(diffusion.timesteps.float().tolist(), diffusion.alphas_cumprod.tolist(), strict=True))

        def denoiser(x, timesteps):
            abar = abars[float(timesteps[0])]
            epsilon = (1 - abar) ** 0.5 * (x.flatten(1).double() @ vectors / (abar * values + 1 - abar)) @ vectors.T
            return torch.cat([epsilon.float().view_as(x), torch.zeros_like(x)], dim=1)

        back = ddim(denoiser, diffusion, ddim_inversion(denoiser, diffusion, image))
        return float((back - image).pow(2).mean())

    errors = [lost(respacing) for respacing in ("10", "30", "100")]
    assert errors[0] > 3 * errors[1] > 9 * errors[2] and errors[2] < 1e-3
