"""Frozen VGG features, by which perceptual losses compare images (facts 1.2; paper eq. 4)."""

from collections.abc import Mapping

import torch
from torch import nn

from piti.networks.weights import load

WIDTHS = (64, 128, 256, 512, 512)
DEPTHS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}  # convolutions in each of the five blocks

FIVE_LEVELS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")

# What the weights expect, as (channel order, gain, offset) that take RGB in [-1, 1] there; and the unit of the
# features: how much larger they are than those of an input normalised by ImageNet's deviation, which losses weigh.
CONVENTIONS = {
    # RGB in [0, 1], normalised by ImageNet's mean and standard deviation
    "torchvision": (
        [0, 1, 2],
        [0.5 / 0.229, 0.5 / 0.224, 0.5 / 0.225],
        [(0.5 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.5 - 0.406) / 0.225],
        1.0,
    ),
    # BGR in 0..255 minus means. (Folded into conv1_1, this would be inexact at the zero-padded borders.)
    "caffe": ([2, 1, 0], [127.5] * 3, [127.5 - 104.007, 127.5 - 116.669, 127.5 - 122.679], 255 * 0.226),
    # left as it is: what the GAN baselines' released code gives to torchvision's weights (facts 3.1)
    "raw": ([0, 1, 2], [1.0] * 3, [0.0] * 3, 1.0),
}


class VGGFeatures(nn.Module):
    """The feature maps `layers` ("conv2_2": before its ReLU, "relu2_2": after) of a VGG whose weights never change.

    state_dict: torchvision's names (`features.0.weight`, …); only the layers up to the deepest one asked for are taken.
    Raises InputError naming those that are missing or have another shape.
    """

    def __init__(
        self,
        state_dict: Mapping[str, torch.Tensor],
        layers: tuple[str, ...] = FIVE_LEVELS,
        arch: str = "vgg19",
        convention: str = "torchvision",
    ):
        super().__init__()
        self.layers = layers
        self.names, self.features = _convolutions(arch, layers)
        load(self, {name: state_dict[name] for name in self.state_dict() if name in state_dict}, f"{arch} weights")
        order, gain, offset, self.unit = CONVENTIONS[convention]
        for module in self.features:  # input and biases a unit smaller make every feature so, and cost nothing later
            if isinstance(module, nn.Conv2d):
                module.bias.data /= self.unit
        self.requires_grad_(False).eval()
        self.register_buffer("order", torch.tensor(order), persistent=False)
        self.register_buffer("gain", torch.tensor(gain).view(1, 3, 1, 1) / self.unit, persistent=False)
        self.register_buffer("offset", torch.tensor(offset).view(1, 3, 1, 1) / self.unit, persistent=False)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """x: B×3×H×W RGB in [-1, 1]. Returns the feature maps in their unit, shallowest first; gradients flow to x."""
        x = x[:, self.order] * self.gain + self.offset
        maps = []
        for name, module in zip(self.names, self.features, strict=True):
            x = module(x)
            if name in self.layers:
                maps.append(x)
        return maps


def _convolutions(arch: str, layers: tuple[str, ...]) -> tuple[list[str], nn.Sequential]:
    """The stack down to the deepest of `layers`, and the name of each of its modules."""
    names, modules, width = [], [], 3
    for block, (depth, wider) in enumerate(zip(DEPTHS[arch], WIDTHS, strict=True), start=1):
        for i in range(1, depth + 1):
            names += [f"conv{block}_{i}", f"relu{block}_{i}"]
            modules += [nn.Conv2d(width, wider, 3, padding=1), nn.ReLU()]
            width = wider
        names.append(f"pool{block}")
        modules.append(nn.MaxPool2d(2))
    deepest = max(names.index(layer) for layer in layers)
    return names[: deepest + 1], nn.Sequential(*modules[: deepest + 1])
