"""The baselines' contract, at full size (shapes alone) and in miniature (trained)."""

import copy
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from piti.baselines.oasis import OASIS
from piti.baselines.pix2pixhd import Pix2PixHD
from piti.baselines.spade import SPADE
from piti.cards.base import from_dict
from piti.cards.baselines import OASISConfig, Pix2PixHDConfig, SPADEConfig
from piti.conditions.semantics import one_hot
from piti.networks.pretrained import void_first
from piti.store.files import InputError

KEYS = json.loads((Path(__file__).parents[2] / "golden/data/full_keys.json").read_text())
CLASSES = 4

FULL = {
    "pix2pixhd_cityscapes_default_35_plus_edges": (Pix2PixHD, Pix2PixHDConfig(36)),
    "pix2pixhd_ade20k_151": (Pix2PixHD, Pix2PixHDConfig(151)),
    "pix2pixhd_coco_183_plus_edges": (Pix2PixHD, Pix2PixHDConfig(184)),
    "pix2pixhd_one_channel_sketch": (Pix2PixHD, Pix2PixHDConfig(1)),
    "pix2pixhd_six_channels_depth_normal": (Pix2PixHD, Pix2PixHDConfig(6)),
    "spade_ade20k": (SPADE, SPADEConfig(151)),
    "spade_coco": (SPADE, SPADEConfig(184)),
    "oasis_ade20k": (OASIS, OASISConfig(151)),
    "oasis_coco": (OASIS, OASISConfig(183)),
}


@pytest.mark.parametrize("name", FULL)
def test_full_size_has_the_released_keys_shapes_and_counts(name):
    kind, config = FULL[name]
    with torch.device("meta"):
        model = kind(config)
    for network, suffix in ((model.generator, "G"), (model.discriminator, "D")):
        stored = KEYS[f"{name}_{suffix}"]
        expected = dict(map(tuple, KEYS[f"pix2pixhd_ade20k_151_{suffix}"]["keys"] if "keys_note" in stored else ()))
        expected |= {key: shape for key, shape in stored["keys"]}
        assert {key: list(value.shape) for key, value in network.state_dict().items()} == expected
        assert sum(p.numel() for p in network.parameters()) == stored["n_params"]


@pytest.mark.parametrize(
    ("kind", "channels", "generator", "discriminator"),
    [(SPADE, 1, 91_999_683, 5_529_730), (SPADE, 6, 92_149_443, 5_539_970), (SPADE, 183, 97_450_947, 5_902_466)],
)
def test_counts_of_the_other_conditions(kind, channels, generator, discriminator):
    """Facts 3.2: sketch, geometry, COCO without instances."""
    with torch.device("meta"):
        model = kind(SPADEConfig(channels))
    assert sum(p.numel() for p in model.generator.parameters()) == generator
    assert sum(p.numel() for p in model.discriminator.parameters()) == discriminator


# -- miniatures --------------------------------------------------------------------------------------------------


def small(kind, seed=0, **changes):
    sizes = {
        Pix2PixHD: {"resolution": 32, "ngf": 8, "ndf": 8, "n_downsampling": 2, "n_blocks": 2, "lambda_vgg": 0},
        SPADE: {"resolution": 32, "ngf": 4, "ndf": 8, "nhidden": 16, "lambda_vgg": 0},
        OASIS: {"resolution": 64, "channels_G": 4, "channels_D": 16, "nhidden": 8, "z_dim": 2},
    }[kind]
    card = {Pix2PixHD: Pix2PixHDConfig, SPADE: SPADEConfig, OASIS: OASISConfig}[kind]
    model = kind(card(**({"condition_channels": CLASSES} | sizes | changes)))
    model.initialise(torch.Generator().manual_seed(seed))
    return model


def pairs(resolution, count=4):
    """Label maps of a 4×4 grid, and images in which each class has its colour."""
    generator = torch.Generator().manual_seed(0)
    cells = torch.randint(1, CLASSES, (count, 1, 4, 4), generator=generator).float()
    labels = F.interpolate(cells, size=resolution)[:, 0].long()
    colours = torch.rand(CLASSES, 3, generator=generator) * 1.6 - 0.8
    return one_hot(labels, CLASSES), colours[labels].permute(0, 3, 1, 2)


def train(model, semantics, image, steps, seed=1):
    """The loop as the contract describes it."""
    generator, optimizers = torch.Generator().manual_seed(seed), model.optimizers()
    for _ in range(steps):
        drawn = model.draw(generator, len(image)) | model.batch_sums(semantics)
        fake = model.generate(semantics, drawn)
        model.discriminator.requires_grad_(False)
        for_generator = model.generator_loss(semantics, image, fake, drawn)
        optimizers["generator"].zero_grad()
        sum(for_generator.values()).backward()
        optimizers["generator"].step()
        model.discriminator.requires_grad_(True)
        fake = model.discriminator_fake(semantics, fake, drawn)
        for_discriminator = model.discriminator_loss(semantics, image, fake, drawn)
        optimizers["discriminator"].zero_grad()
        sum(for_discriminator.values()).backward()
        optimizers["discriminator"].step()
    with torch.no_grad():
        return model.generate(semantics, model.draw(generator, len(image)))


def psnr(fake, image):
    return (10 * torch.log10(4 / F.mse_loss(fake, image))).item()


KINDS = pytest.mark.parametrize("kind", [Pix2PixHD, SPADE, OASIS])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "steps", "threshold", "changes"),
    [
        (Pix2PixHD, 60, 18, {"lr_generator": 2e-3, "lr_discriminator": 2e-3}),
        (SPADE, 60, 16, {"lr_generator": 1e-3, "lr_discriminator": 4e-3}),
        (OASIS, 55, 15, {"lr_generator": 2e-3, "lr_discriminator": 2e-3, "betas": (0.0, 0.9)}),
    ],
)
def test_overfits_four_pairs(kind, steps, threshold, changes):
    """PSNR beyond the threshold. OASIS has no term that compares pixels: its colours come last."""
    model = small(kind, **changes)
    if kind is OASIS:  # wake the two layers without spectral norm, whose tiny first weights would cost many steps
        with torch.no_grad():
            model.discriminator.layer_up_last.weight *= 30
            model.generator.conv_img.weight *= 30
    semantics, image = pairs(model.config.resolution)
    with torch.no_grad():
        before = psnr(model.generate(semantics, model.draw(torch.Generator(), len(image))), image)
    assert before < 13.6  # what the mean colour of all pairs would reach
    assert psnr(train(model, semantics, image, steps), image) > threshold


@KINDS
def test_everything_follows_from_the_generators(kind):
    """Same seed, same weights and images after two steps, whatever the global generator does."""
    results = []
    for noise in (0, 1):
        torch.manual_seed(noise)
        model = small(kind)
        results.append(train(model, *pairs(model.config.resolution), steps=2))
    assert torch.equal(*results)


@KINDS
def test_each_loss_reaches_its_network_alone(kind):
    model = small(kind)
    semantics, image = pairs(model.config.resolution, count=2)
    drawn = model.draw(torch.Generator(), len(image)) | model.batch_sums(semantics)
    fake = model.discriminator_fake(semantics, model.generate(semantics, drawn), drawn)
    losses = model.discriminator_loss(semantics, image, fake, drawn)
    sum(losses.values()).backward()
    assert not fake.requires_grad and all(loss.dtype == torch.float32 for loss in losses.values())
    assert all(p.grad is not None for p in model.discriminator.parameters())
    assert all(p.grad is None for p in model.generator.parameters())
    losses = model.generator_loss(semantics, image, model.generate(semantics, drawn), drawn)
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in model.generator.parameters())


@KINDS
def test_bfloat16_autocast(kind):
    model = small(kind)
    semantics, image = pairs(model.config.resolution, count=2)
    drawn = model.draw(torch.Generator(), len(image)) | model.batch_sums(semantics)
    with torch.autocast("cpu", torch.bfloat16):
        fake = model.generate(semantics, drawn)
        losses = [
            *model.generator_loss(semantics, image, fake, drawn).values(),
            *model.discriminator_loss(semantics, image, fake.detach(), drawn).values(),
        ]
    sum(losses).backward()
    assert fake.dtype == torch.float32
    assert all(p.grad.isfinite().all() for p in model.parameters())


@KINDS
def test_generator_can_be_averaged(kind):
    """A copy after a forward in train mode (spectral norm in torch's old form refuses that)."""
    model = small(kind)
    semantics, _ = pairs(model.config.resolution, count=2)
    drawn = model.draw(torch.Generator(), 2)
    model.generate(semantics, drawn)
    twin = copy.deepcopy(model)
    assert torch.equal(twin.eval().generate(semantics, drawn), model.eval().generate(semantics, drawn))


def test_pix2pixhd_shows_the_discriminator_the_same_image_and_spade_a_new_one():
    for kind, same in ((Pix2PixHD, True), (SPADE, False)):
        model = small(kind)
        semantics, _ = pairs(32, count=2)
        fake = model.generate(semantics, {})
        with torch.no_grad():
            model.generator.conv_img.weight.mul_(2) if kind is SPADE else model.generator.model[-2].weight.mul_(2)
        assert torch.equal(model.discriminator_fake(semantics, fake, {}), fake) is same


def test_learning_rates():
    constant, decaying = small(OASIS), small(Pix2PixHD, decay=0.5)
    assert constant.lr_factor(199, 200) == 1
    assert [decaying.lr_factor(step, 200) for step in (0, 100, 150, 200)] == [1, 1, 0.5, 0]
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in constant.optimizers().items()}
    assert rates == {"generator": 1e-4, "discriminator": 4e-4}


def test_vgg_is_a_term_where_it_is_asked_for():
    model = small(SPADE, lambda_vgg=10.0)
    semantics, image = pairs(32, count=2)
    fake = model.generate(semantics, {})
    losses = model.generator_loss(semantics, image, fake, {}, vgg=lambda x: [x] * 5)
    torch.testing.assert_close(losses["vgg"], 10 * 47 / 32 * F.l1_loss(fake, image))
    assert model.config.uses_vgg and not small(OASIS).config.uses_vgg


def test_released_coco_weights_read_our_label_maps():
    model = small(SPADE, condition_channels=CLASSES + 1).eval()
    ours, _ = pairs(32)
    edges = torch.randint(2, (4, 1, 32, 32), generator=torch.Generator()).float()
    theirs = torch.cat([ours.roll(-1, dims=1), edges], dim=1)  # void behind the classes
    ours = torch.cat([ours, edges], dim=1)
    expected = model.generate(theirs, {})
    image = torch.randn(4, 3, 32, 32, generator=torch.Generator())
    expected_logits = model.discriminator(torch.cat([theirs, image], dim=1))[0][-1]
    for network in (model.generator, model.discriminator):
        network.load_state_dict(void_first(network.state_dict(), CLASSES))
    torch.testing.assert_close(model.generate(ours, {}), expected)
    torch.testing.assert_close(model.discriminator(torch.cat([ours, image], dim=1))[0][-1], expected_logits)


def test_side_that_cannot_be_halved_is_refused():
    with pytest.raises(InputError, match="resolution: found 100, expected a multiple of 32"):
        from_dict(SPADEConfig, {"resolution": 100})
    assert from_dict(SPADEConfig, {"resolution": "64"}).resolution == 64


@pytest.mark.parametrize(("layers", "latent"), [("fewer", 4), ("normal", 2), ("more", 1)])
def test_spade_draws_from_a_latent_of_its_doublings(layers, latent):
    config = SPADEConfig(4, resolution=64, ngf=2, nhidden=4, ndf=4, lambda_vgg=0, num_upsampling_layers=layers)
    model, seen = SPADE(config), []
    model.generator.fc.register_forward_hook(lambda module, given, made: seen.append(made.shape[-1]))
    assert model.generate(torch.zeros(2, 4, 64, 64), {}).shape == (2, 3, 64, 64)
    assert seen == [latent]
