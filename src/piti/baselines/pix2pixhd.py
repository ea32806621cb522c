"""Pix2PixHD (1711.11585; facts 3.1): residual generator, patch discriminators, least squares, feature matching, VGG."""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from piti.baselines.contract import VGG, Baseline, Tensors
from piti.baselines.layers import init_convolutions
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
from piti.cards.baselines import Pix2PixHDConfig
from piti.networks.norm import instance_norm


class ResnetBlock(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            *norm_relu(nn.Conv2d(channels, channels, 3)),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            instance_norm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


def norm_relu(conv: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    """A convolution with what follows it everywhere."""
    return [conv, instance_norm(conv.out_channels), nn.ReLU()]


def first_layers(in_channels: int, channels: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(3), *norm_relu(nn.Conv2d(in_channels, channels, 7))]


def downsampling(channels: int) -> list[nn.Module]:
    """Half the resolution, twice the width."""
    return norm_relu(nn.Conv2d(channels, channels * 2, 3, stride=2, padding=1))


def upsampling(channels: int) -> list[nn.Module]:
    """Twice the resolution, half the width."""
    return norm_relu(nn.ConvTranspose2d(channels, channels // 2, 3, stride=2, padding=1, output_padding=1))


def image_layers(channels: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(3), nn.Conv2d(channels, 3, 7), nn.Tanh()]


def trunk(in_channels: int, ngf: int, n_downsampling: int, n_blocks: int) -> list[nn.Module]:
    """The global generator up to its last features (`ngf` channels at full resolution)."""
    widths = [ngf * 2**i for i in range(n_downsampling + 1)]
    layers = first_layers(in_channels, ngf)
    for width in widths[:-1]:
        layers += downsampling(width)
    layers += [ResnetBlock(widths[-1]) for _ in range(n_blocks)]
    for width in reversed(widths[1:]):
        layers += upsampling(width)
    return layers


class GlobalGenerator(nn.Module):
    """Condition N×C×H×W -> image N×3×H×W in [-1,1]."""

    def __init__(self, condition_channels: int, ngf: int, n_downsampling: int, n_blocks: int):
        super().__init__()
        self.model = nn.Sequential(*trunk(condition_channels, ngf, n_downsampling, n_blocks), *image_layers(ngf))

    def forward(self, semantics: Tensor) -> Tensor:
        return self.model(semantics).float()


class LocalEnhancer(nn.Module):
    """The global generator's trunk at a reduced resolution, and one enhancer for each doubling back to the full one."""

    def __init__(
        self,
        condition_channels: int,
        ngf: int,
        n_downsampling: int,
        n_blocks: int,
        n_local_enhancers: int,
        n_blocks_local: int,
    ):
        super().__init__()
        self.n_local_enhancers = n_local_enhancers
        self.model = nn.Sequential(*trunk(condition_channels, ngf * 2**n_local_enhancers, n_downsampling, n_blocks))
        for n in range(1, n_local_enhancers + 1):
            width = ngf * 2 ** (n_local_enhancers - n)
            before = first_layers(condition_channels, width) + downsampling(width)
            after = [ResnetBlock(width * 2) for _ in range(n_blocks_local)] + upsampling(width * 2)
            if n == n_local_enhancers:
                after += image_layers(width)
            self.add_module(f"model{n}_1", nn.Sequential(*before))
            self.add_module(f"model{n}_2", nn.Sequential(*after))

    def forward(self, semantics: Tensor) -> Tensor:
        pyramid = [semantics]
        for _ in range(self.n_local_enhancers):
            pyramid.append(F.avg_pool2d(pyramid[-1], 3, stride=2, padding=1, count_include_pad=False))
        x = self.model(pyramid.pop())
        for n in range(1, self.n_local_enhancers + 1):
            x = x + self.get_submodule(f"model{n}_1")(pyramid.pop())
            x = self.get_submodule(f"model{n}_2")(x)
        return x.float()


class Discriminator(nn.Module):
    """Condition and image N×(C+3)×H×W -> features, full resolution first. The *last* sub-network sees the full
    resolution.
    """

    def __init__(self, in_channels: int, ndf: int, n_layers: int, num_D: int):
        super().__init__()
        self.names = [[f"scale{s}_layer{j}" for j in range(n_layers + 2)] for s in reversed(range(num_D))]
        for names in reversed(self.names):
            for name, layer in zip(names, patch_layers(in_channels, ndf, n_layers, conv_norm), strict=True):
                self.add_module(name, layer)

    def forward(self, x: Tensor) -> Scales:
        return multiscale_features([[self.get_submodule(name) for name in names] for names in self.names], x)


def conv_norm(in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    """A hidden layer of the discriminator."""
    return [nn.Conv2d(in_channels, out_channels, 4, stride, padding=2), instance_norm(out_channels)]


class Pix2PixHD(Baseline):
    """One forward serves both updates: the discriminator's step sees the generator's own image."""

    def __init__(self, config: Pix2PixHDConfig):
        shape = (config.condition_channels, config.ngf, config.n_downsampling, config.n_blocks)
        if config.n_local_enhancers:
            generator = LocalEnhancer(*shape, config.n_local_enhancers, config.n_blocks_local)
        else:
            generator = GlobalGenerator(*shape)
        discriminator = Discriminator(config.condition_channels + 3, config.ndf, config.n_layers_D, config.num_D)
        super().__init__(config, generator, discriminator)

    def initialise(self, generator: torch.Generator) -> None:
        init_convolutions(self, functools.partial(nn.init.normal_, std=0.02), generator)

    def discriminator_fake(self, semantics: Tensor, fake: Tensor, drawn: Tensors) -> Tensor:
        return fake.detach()

    def generator_loss(
        self, semantics: Tensor, image: Tensor, fake: Tensor, drawn: Tensors, vgg: VGG | None = None
    ) -> Tensors:
        config = self.config
        fakes, reals = compare(self.discriminator, semantics, fake, image)
        lambda_feat = config.lambda_feat * 4 / (config.n_layers_D + 1)
        losses = {
            "gan": adversarial_loss(ADVERSARIAL[config.gan_mode][2], fakes).sum(),
            "feature_matching": lambda_feat * feature_matching(fakes, reals),
        }
        if config.uses_vgg:
            losses["vgg"] = config.lambda_vgg * vgg_loss(vgg, fake, image)
        return losses

    def discriminator_loss(self, semantics: Tensor, image: Tensor, fake: Tensor, drawn: Tensors) -> Tensors:
        on_real, on_fake, _ = ADVERSARIAL[self.config.gan_mode]
        fakes, reals = compare(self.discriminator, semantics, fake, image)
        return {
            "fake": 0.5 * adversarial_loss(on_fake, fakes).sum(),
            "real": 0.5 * adversarial_loss(on_real, reals).sum(),
        }
