"""SPADE (1903.07291; facts 3.2): a generator whose norms are modulated by the condition, hinge loss, deterministic."""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from piti.baselines.contract import VGG, Baseline, Tensors
from piti.baselines.layers import SPADENorm, SPADEResnetBlock, SpectralConv2d, init_convolutions, shrink, xavier
from piti.baselines.patch import (
    ADVERSARIAL,
    Scales,
    adversarial_loss,
    compare,
    feature_matching,
    multiscale_features,
    patch_layers,
    vgg_loss,
)
from piti.cards.baselines import SPADEConfig
from piti.networks.norm import instance_norm


class Generator(nn.Module):
    """Condition N×C×H×W -> image N×3×H×W in [-1,1]. The latent is the condition at 2**-doublings of the resolution; of
    4 to 6 doublings the last four are each followed by a narrower block.
    """

    def __init__(self, condition_channels: int, ngf: int, nhidden: int, doublings: int):
        super().__init__()
        self.doublings = doublings
        norm = functools.partial(
            SPADENorm, condition_channels=condition_channels, nhidden=nhidden, norm_name="param_free_norm"
        )
        self.fc = nn.Conv2d(condition_channels, 16 * ngf, 3, padding=1)
        self.head_0 = SPADEResnetBlock(16 * ngf, 16 * ngf, norm)
        self.G_middle_0 = SPADEResnetBlock(16 * ngf, 16 * ngf, norm)
        self.G_middle_1 = SPADEResnetBlock(16 * ngf, 16 * ngf, norm)
        self.up_0 = SPADEResnetBlock(16 * ngf, 8 * ngf, norm)
        self.up_1 = SPADEResnetBlock(8 * ngf, 4 * ngf, norm)
        self.up_2 = SPADEResnetBlock(4 * ngf, 2 * ngf, norm)
        self.up_3 = SPADEResnetBlock(2 * ngf, ngf, norm)
        self.conv_img = nn.Conv2d(ngf, 3, 3, padding=1)

    def forward(self, semantics: Tensor) -> Tensor:
        x = self.fc(shrink(semantics, semantics.shape[2] >> self.doublings))
        x = self.head_0(x, semantics)  # N×16ngf×8×8 at resolution 256
        x = self.G_middle_0(upsample(x) if self.doublings > 4 else x, semantics)  # N×16ngf×16×16
        x = self.G_middle_1(upsample(x) if self.doublings > 5 else x, semantics)
        for block in (self.up_0, self.up_1, self.up_2, self.up_3):
            x = block(upsample(x), semantics)
        return torch.tanh(self.conv_img(F.leaky_relu(x, 0.2)).float())  # N×3×256×256


def upsample(x: Tensor) -> Tensor:
    """Twice the resolution, by nearest neighbour."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


class Discriminator(nn.Module):
    """Condition and image N×(C+3)×H×W -> features, full resolution first."""

    def __init__(self, in_channels: int, ndf: int, n_layers: int, num_D: int):
        super().__init__()
        for s in range(num_D):
            layers = patch_layers(in_channels, ndf, n_layers - 1, conv_norm)
            self.add_module(f"discriminator_{s}", nn.ModuleDict({f"model{j}": layer for j, layer in enumerate(layers)}))

    def forward(self, x: Tensor) -> Scales:
        return multiscale_features([layers.values() for layers in self.children()], x)


def conv_norm(in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    """A hidden layer of the discriminator."""
    conv = SpectralConv2d(in_channels, out_channels, 4, stride, padding=2, bias=False)
    return [nn.Sequential(conv, instance_norm(out_channels))]


class SPADE(Baseline):
    """The discriminator's step sees a new image by the updated generator, whose batch statistics move once more."""

    def __init__(self, config: SPADEConfig):
        super().__init__(
            config,
            Generator(config.condition_channels, config.ngf, config.nhidden, config.doublings),
            Discriminator(config.condition_channels + 3, config.ndf, config.n_layers_D, config.num_D),
        )

    def initialise(self, generator: torch.Generator) -> None:
        init_convolutions(self, xavier, generator)

    def generator_loss(
        self, semantics: Tensor, image: Tensor, fake: Tensor, drawn: Tensors, vgg: VGG | None = None
    ) -> Tensors:
        config = self.config
        fakes, reals = compare(self.discriminator, semantics, fake, image)
        losses = {
            "gan": adversarial_loss(ADVERSARIAL[config.gan_mode][2], fakes).mean(),
            "feature_matching": config.lambda_feat * feature_matching(fakes, reals),
        }
        if config.uses_vgg:
            losses["vgg"] = config.lambda_vgg * vgg_loss(vgg, fake, image)
        return losses

    def discriminator_loss(self, semantics: Tensor, image: Tensor, fake: Tensor, drawn: Tensors) -> Tensors:
        on_real, on_fake, _ = ADVERSARIAL[self.config.gan_mode]
        fakes, reals = compare(self.discriminator, semantics, fake, image)
        return {"fake": adversarial_loss(on_fake, fakes).mean(), "real": adversarial_loss(on_real, reals).mean()}
