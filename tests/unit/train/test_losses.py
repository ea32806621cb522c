"""The losses against their closed forms: what learns from which term; and that they do nothing but return a value."""

import copy
from dataclasses import replace
from functools import partial

import pytest
import torch
from tests.unit.networks.test_perceptual import weights
from tests.unit.train import tiny
from torch.nn.functional import logsigmoid

from piti.diffusion.gaussian import GaussianDiffusion
from piti.networks.patch_discriminator import PatchDiscriminator
from piti.networks.perceptual import FIVE_LEVELS, VGGFeatures
from piti.networks.piti import PITI
from piti.train.losses import (
    ADVERSARIAL,
    PERCEPTUAL,
    gradient_penalty,
    noise_prediction,
    wgan_gp_discriminator,
    wgan_gp_generator,
)

DIFFUSION = GaussianDiffusion("squaredcos_cap_v2")


def images(batch=3, resolution=32, seed=0):
    return torch.rand(batch, 3, resolution, resolution, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# -- noise prediction ------------------------------------------------------------------------------------------------


def drawn(dtype=torch.float64):
    """x_0, t and noise."""
    generator = torch.Generator().manual_seed(0)
    x_0 = torch.rand(4, 3, 8, 8, dtype=dtype, generator=generator) * 2 - 1
    return x_0, torch.tensor([0, 1, 500, 999]), torch.randn(4, 3, 8, 8, dtype=dtype, generator=generator)


def losses_of(output, x_0, t, noise):
    """Of a network that answers `output` whatever it is asked."""
    return noise_prediction(lambda *_, low_res: output, DIFFUSION, x_0, (), t, noise)


def test_the_true_answer_costs_nothing():
    """Epsilon right and the variance of the posterior: both terms vanish, except the likelihood at t = 0."""
    x_0, t, noise = drawn()
    terms, predicted = losses_of(torch.cat([noise, -torch.ones_like(noise)], dim=1), x_0, t, noise)
    torch.testing.assert_close(terms["mse"], torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(terms["vb"][1:], torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-8)
    assert terms["vb"][0] > 0
    torch.testing.assert_close(predicted, x_0, rtol=1e-6, atol=1e-6)


def test_equation_3_of_a_network_that_sees_equation_2():
    x_0, t, noise = drawn()
    y, low_res, told = torch.ones(1), torch.ones(2), []

    def network(x_t, timesteps, y, low_res):
        told.append((timesteps, y, low_res))
        return torch.cat([x_t, x_t], dim=1)

    terms, _ = noise_prediction(network, DIFFUSION, x_0, (y,), t, noise, low_res)
    alpha = DIFFUSION.alphas_cumprod[t].view(-1, 1, 1, 1)
    x_t = alpha.sqrt() * x_0 + (1 - alpha).sqrt() * noise
    torch.testing.assert_close(terms["mse"], (x_t - noise).square().mean(dim=(1, 2, 3)))
    assert torch.equal(told[0][0], t.float()) and told[0][1] is y and told[0][2] is low_res


def test_the_bound_trains_the_variance_only():
    x_0, t, noise = drawn()
    output = torch.zeros(4, 6, 8, 8, dtype=torch.float64, requires_grad=True)
    terms, _ = losses_of(output, x_0, t, noise)
    (mse,) = torch.autograd.grad(terms["mse"].sum(), output, retain_graph=True)
    (vb,) = torch.autograd.grad(terms["vb"].sum(), output)
    assert mse[:, :3].abs().sum() > 0 and not mse[:, 3:].any()
    assert (vb[:, 3:].flatten(1).abs().sum(1) > 0).all() and not vb[:, :3].any()


def test_images_for_other_losses_are_differentiable():
    x_0, t, noise = drawn()
    output = torch.zeros(4, 6, 8, 8, dtype=torch.float64, requires_grad=True)
    _, predicted = losses_of(output, x_0, t, noise)
    assert torch.autograd.grad(predicted[1].sum(), output)[0][1, :3].any()


def test_bf16_free_and_finite_everywhere():
    """Saturated variance channels and far-off epsilons must not end in NaN."""
    x_0, t, noise = drawn(torch.float32)
    output = torch.cat([30 * noise, 5 * noise], dim=1).bfloat16().requires_grad_()
    terms, _ = losses_of(output, x_0, t, noise)
    sum(terms.values()).sum().backward()
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in terms.values())
    assert output.grad.isfinite().all()


# -- perceptual ------------------------------------------------------------------------------------------------------


def perceptual(state, kind, **options):
    """The loss on features of these weights."""
    layers, loss = PERCEPTUAL[kind]
    return partial(loss, VGGFeatures(state, layers, **options))


@pytest.mark.parametrize("kind", PERCEPTUAL)
def test_a_weight_means_the_same_for_weights_of_either_convention(kind):
    """A network of 0..255 has features that are larger by as much as its input is; the loss must not be."""
    normalised, published = weights(), weights()
    published = {n: t * (255 * 0.226 if n.endswith("bias") else 1) for n, t in published.items()}
    for state in (normalised, published):  # the order of the channels does not matter
        state["features.0.weight"] = state["features.0.weight"].mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    x, target = images(seed=1), images(seed=2)
    one = perceptual(normalised, kind)(x, target)
    other = perceptual(published, kind, convention="caffe")(x, target)
    torch.testing.assert_close(other, one, rtol=0.1, atol=0)


@pytest.mark.parametrize("kind", PERCEPTUAL)
def test_loss_is_a_distance(kind):
    loss = perceptual(weights(), kind)
    x, target = images(seed=1).requires_grad_(), images(seed=2)
    value = loss(x, target)
    assert value.shape == (3,)
    torch.testing.assert_close(value, loss(target, x))
    (grad,) = torch.autograd.grad(value.sum(), x)
    assert (loss(x - 0.02 * grad / grad.abs().max(), target) < value).all()

    same = loss(x, x.detach())
    assert (same == 0).all()
    assert torch.autograd.grad(same.sum(), x)[0].isfinite().all()  # the norm's kink at 0 gives no NaN
    assert not any(p.requires_grad for p in loss.args[0].parameters())


def test_closed_forms_of_the_perceptual_losses():
    """conv2_2 squares one level before its ReLU; multilevel adds up root mean squares."""
    state = weights()
    x, target = images(seed=1), images(seed=2)
    (a,), (b,) = (VGGFeatures(state, ("conv2_2",))(image) for image in (x, target))
    assert (a < 0).any()
    torch.testing.assert_close(perceptual(state, "conv2_2")(x, target), (a - b).square().mean(dim=(1, 2, 3)))
    levels = zip(VGGFeatures(state, FIVE_LEVELS)(x), VGGFeatures(state, FIVE_LEVELS)(target), strict=True)
    rms = sum((a - b).square().mean(dim=(1, 2, 3)).sqrt() for a, b in levels)
    torch.testing.assert_close(perceptual(state, "multilevel")(x, target), rms)


def test_autocast_keeps_the_perceptual_loss_in_float32():
    loss = perceptual(weights(), "multilevel")
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(images(seed=1), images(seed=2))
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(images(seed=1), images(seed=2)), rtol=0.02, atol=0)


# -- adversarial -----------------------------------------------------------------------------------------------------


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
        terms = wgan_gp_discriminator(lambda x: x.square() / 2, real, fake, torch.full((3, 1, 1, 1), eps))
        torch.testing.assert_close(terms["gradient_penalty"], 10 * (x.flatten(1).norm(dim=1) - 1).square().mean())
        torch.testing.assert_close(terms["wasserstein"], (fake.square() / 2).mean() - (real.square() / 2).mean())


def test_log_gan_is_equation_5_with_its_roles_put_right():
    discriminator_loss, generator_loss = ADVERSARIAL["log_gan"]
    real, fake = images(seed=1) * 5, images(seed=2) * 5
    terms = discriminator_loss(torch.nn.Identity(), real, fake, torch.rand(3, 1, 1, 1))
    probability_real, probability_fake = torch.sigmoid(real), torch.sigmoid(fake)
    value = probability_real.log().mean() + (1 - probability_fake).log().mean()
    torch.testing.assert_close(sum(terms.values()), -value)
    torch.testing.assert_close(generator_loss(torch.nn.Identity(), fake), -logsigmoid(fake).mean(dim=(1, 2, 3)))


@pytest.mark.parametrize("kind", ADVERSARIAL)
def test_extreme_logits_stay_finite(kind):
    discriminator_loss, generator_loss = ADVERSARIAL[kind]
    x = images().requires_grad_()
    terms = discriminator_loss(lambda x: 1e4 * x, images(seed=1), x, torch.rand(3, 1, 1, 1))
    loss = generator_loss(lambda x: 1e4 * x, x)
    loss.sum().backward()
    assert all(torch.isfinite(v).all() for v in (*terms.values(), loss, x.grad))


@pytest.mark.parametrize("kind", ADVERSARIAL)
def test_both_players_learn(kind):
    """The discriminator tells two kinds of picture apart; then the generator's gradient turns fake into real."""
    discriminator_loss, generator_loss = ADVERSARIAL[kind]
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
    exact = wgan_gp_discriminator(network, real, fake, eps)
    with torch.autocast("cpu", torch.bfloat16):
        terms = wgan_gp_discriminator(network, real, fake, eps)
        assert wgan_gp_generator(network, fake).dtype == torch.float32
    sum(terms.values()).backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())
    for name, value in terms.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, exact[name], rtol=0.05, atol=0.02)


# -- nothing but their value -----------------------------------------------------------------------------------------


def calls():
    """Each loss by name: a function without arguments, and the networks that it asks."""
    torch.manual_seed(0)
    x_0, fake, mix, t = images(seed=1), images(seed=2), torch.rand(3, 1, 1, 1), torch.tensor([0, 500, 999])
    network, discriminator = (
        PITI(replace(tiny.UNET, dropout=0.0), tiny.ENCODER).train(),
        PatchDiscriminator(ndf=8).train(),
    )
    network.load_state_dict(tiny.stirred(network))
    found = {"noise": (partial(noise_prediction, network, DIFFUSION, x_0, (fake,), t, images(seed=3)), network)}
    for kind in PERCEPTUAL:
        loss = perceptual(weights(), kind)
        found[kind] = (partial(loss, fake, x_0), loss.args[0])
    for kind, (discriminator_loss, generator_loss) in ADVERSARIAL.items():
        found[f"{kind}, discriminator"] = (partial(discriminator_loss, discriminator, x_0, fake, mix), discriminator)
        found[f"{kind}, generator"] = (partial(generator_loss, discriminator, fake), discriminator)
    return found


def flat(found):
    """The tensors of what a loss returns."""
    if isinstance(found, torch.Tensor):
        return [found]
    return [tensor for each in (found.values() if isinstance(found, dict) else found) for tensor in flat(each)]


@pytest.mark.parametrize("name", calls())
def test_a_loss_depends_on_its_arguments_alone_and_changes_nothing(name):
    loss, network = calls()[name]
    given = [argument for argument in loss.args if isinstance(argument, torch.Tensor)]
    before = copy.deepcopy((given, network.state_dict(), torch.get_rng_state()))
    first, second = flat(loss()), flat(loss())
    assert first and all(map(torch.equal, first, second))
    assert all(map(torch.equal, given, before[0]))
    assert all(torch.equal(tensor, before[1][key]) for key, tensor in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), before[2])
    assert all(tensor.grad is None for tensor in (*given, *network.parameters()))
