"""The adversarial losses against their closed forms, and the discriminator that they train."""

import pytest
import torch
from torch.nn.functional import logsigmoid

from piti.networks.adversarial import LOSSES, gradient_penalty, wgan_gp_discriminator_loss, wgan_gp_generator_loss
from piti.networks.patch_discriminator import PatchDiscriminator


def images(batch=3, resolution=32, seed=0):
    return torch.rand(batch, 3, resolution, resolution, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_full_size():
    with torch.device("meta"):
        network = PatchDiscriminator()
        assert network(torch.empty(2, 3, 256, 256)).shape == (2, 1, 30, 30)
    assert sum(p.numel() for p in network.parameters()) == 2_764_737  # facts 1.2
    assert list(network.state_dict())[-1] == "model.11.bias"


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
def test_patch_grid_down_to_the_smallest_side(n_layers):
    network = PatchDiscriminator(ndf=4, n_layers=n_layers)
    for resolution in (3 * 2**n_layers, 64):
        patches = resolution // 2**n_layers - 2
        assert network(images(2, resolution)).shape == (2, 1, patches, patches)


def test_samples_are_judged_alone():
    network = PatchDiscriminator(ndf=8)
    x = images()
    torch.testing.assert_close(network(x)[1:2], network(x[1:2]))


@pytest.mark.parametrize("norm", [0.0, 1.0, 3.0])
def test_gradient_penalty_of_a_linear_discriminator(norm):
    """Its gradient is one direction everywhere; as two patches it counts with their sum."""
    direction = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))
    direction *= norm / direction.norm()

    def linear(x):
        score = (x * direction).sum(dim=(1, 2, 3))
        return torch.stack([0.25 * score, 0.75 * score], dim=1)

    torch.testing.assert_close(gradient_penalty(linear, images(resolution=8)), torch.tensor((norm - 1) ** 2))


def test_gradient_penalty_is_taken_between_fake_and_real():
    """|x|^2 / 2 has the gradient x: at eps = 0 the penalty sees fake, at 1 real."""
    real, fake = images(seed=1), images(seed=2)
    for eps, x in ((0.0, fake), (1.0, real), (0.25, 0.75 * fake + 0.25 * real)):
        terms = wgan_gp_discriminator_loss(lambda x: x.square() / 2, real, fake, torch.full((3, 1, 1, 1), eps))
        torch.testing.assert_close(terms["gradient_penalty"], 10 * (x.flatten(1).norm(dim=1) - 1).square().mean())
        torch.testing.assert_close(terms["wasserstein"], (fake.square() / 2).mean() - (real.square() / 2).mean())


def test_log_gan_is_equation_5_with_its_roles_put_right():
    discriminator_loss, generator_loss = LOSSES["log_gan"]
    real, fake = images(seed=1) * 5, images(seed=2) * 5
    terms = discriminator_loss(torch.nn.Identity(), real, fake, torch.rand(3, 1, 1, 1))
    probability_real, probability_fake = torch.sigmoid(real), torch.sigmoid(fake)
    value = probability_real.log().mean() + (1 - probability_fake).log().mean()
    torch.testing.assert_close(sum(terms.values()), -value)
    torch.testing.assert_close(generator_loss(torch.nn.Identity(), fake), -logsigmoid(fake).mean(dim=(1, 2, 3)))


@pytest.mark.parametrize("kind", LOSSES)
def test_extreme_logits_stay_finite(kind):
    discriminator_loss, generator_loss = LOSSES[kind]
    x = images().requires_grad_()
    terms = discriminator_loss(lambda x: 1e4 * x, images(seed=1), x, torch.rand(3, 1, 1, 1))
    loss = generator_loss(lambda x: 1e4 * x, x)
    loss.sum().backward()
    assert all(torch.isfinite(v).all() for v in (*terms.values(), loss, x.grad))


@pytest.mark.parametrize("kind", LOSSES)
def test_both_players_learn(kind):
    """The discriminator tells two kinds of picture apart; then the generator's gradient turns fake into real."""
    discriminator_loss, generator_loss = LOSSES[kind]
    torch.manual_seed(0)
    network = PatchDiscriminator(ndf=8, n_layers=2)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    ramp = torch.linspace(-1, 1, 24)
    real, fake = ramp.expand(4, 3, 24, 24), ramp[:, None].expand(4, 3, 24, 24).clone().requires_grad_()
    for step in range(80):
        eps = torch.rand(4, 1, 1, 1, generator=torch.Generator().manual_seed(step))
        loss = sum(discriminator_loss(network, real, fake, eps).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert fake.grad is None  # the discriminator's loss does not reach the generator
    with torch.no_grad():
        assert network(real).mean() > network(fake).mean() + 0.2

    before = generator_loss(network, fake)
    assert before.shape == (4,)
    (grad,) = torch.autograd.grad(before.sum(), fake)
    assert (generator_loss(network, fake - 0.1 * grad / grad.abs().max()) < before).all()


def test_autocast_keeps_the_losses_in_float32():
    network = PatchDiscriminator(ndf=8)
    real, fake, eps = images(seed=1), images(seed=2), torch.rand(3, 1, 1, 1)
    exact = wgan_gp_discriminator_loss(network, real, fake, eps)
    with torch.autocast("cpu", torch.bfloat16):
        terms = wgan_gp_discriminator_loss(network, real, fake, eps)
        assert wgan_gp_generator_loss(network, fake).dtype == torch.float32
    sum(terms.values()).backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())
    for name, value in terms.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, exact[name], rtol=0.05, atol=0.02)
