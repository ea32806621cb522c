"""The baselines' contract, at full size (shapes alone) and in miniature (trained)."""

import copy
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from piti.baselines.contract import refresh_batch_norm
from piti.baselines.oasis import OASIS
from piti.baselines.pix2pixhd import Pix2PixHD
from piti.baselines.spade import SPADE, void_first
from piti.card import from_dict
from piti.cards_baselines import OASISConfig, Pix2PixHDConfig, SPADEConfig
from piti.data.conditions.semantics import one_hot
from piti.files import InputError

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
        Pix2PixHD: {"side": 32, "ngf": 8, "ndf": 8, "n_downsampling": 2, "n_blocks": 2, "lambda_vgg": 0},
        SPADE: {"side": 32, "ngf": 2, "ndf": 8, "nhidden": 8, "lambda_vgg": 0},
        OASIS: {"side": 64, "channels_G": 2, "channels_D": 8, "nhidden": 8, "z_dim": 2},
    }[kind]
    card = {Pix2PixHD: Pix2PixHDConfig, SPADE: SPADEConfig, OASIS: OASISConfig}[kind]
    model = kind(card(**({"condition_channels": CLASSES} | sizes | changes)))
    model.initialise(torch.Generator().manual_seed(seed))
    return model


def pairs(side, count=4):
    """Label maps of a 4×4 grid, and images in which each class has its colour."""
    generator = torch.Generator().manual_seed(0)
    cells = torch.randint(1, CLASSES, (count, 1, 4, 4), generator=generator).float()
    labels = F.interpolate(cells, size=side)[:, 0].long()
    colours = torch.rand(CLASSES, 3, generator=generator) * 1.6 - 0.8
    return one_hot(labels, CLASSES), colours[labels].permute(0, 3, 1, 2)


def train(model, semantics, image, steps, seed=1):
    """The loop as the contract describes it."""
    generator, optimizers = torch.Generator().manual_seed(seed), model.optimizers()
    for _ in range(steps):
        drawn = model.draw(generator, len(image))
        fake = model.generate(semantics, drawn)
        for_generator = model.generator_loss(semantics, image, fake)
        optimizers["generator"].zero_grad()
        sum(for_generator.values()).backward()
        optimizers["generator"].step()
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
