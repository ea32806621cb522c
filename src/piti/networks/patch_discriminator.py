"""PatchGAN, the upsampler's discriminator (facts 1.2): it sees the RGB image alone and judges overlapping patches."""

import torch
from torch import nn

from piti.networks.norm import instance_norm


class PatchDiscriminator(nn.Module):
    """4×4 convolutions: `n_layers` of stride 2, one of stride 1, one to a single channel; 2,764,737 parameters.

    Keys are the released ones (`model.0.weight`, …). The smallest image resolution is 3 * 2**n_layers px.
    """

    def __init__(self, input_nc: int = 3, ndf: int = 64, n_layers: int = 3):
        super().__init__()
        layers = [nn.Conv2d(input_nc, ndf, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        width = ndf
        for level in range(1, n_layers + 1):
            wider = ndf * min(2**level, 8)
            stride = 2 if level < n_layers else 1
            layers += [nn.Conv2d(width, wider, 4, stride, padding=1), instance_norm(wider), nn.LeakyReLU(0.2)]
            width = wider
        layers.append(nn.Conv2d(width, 1, 4, stride=1, padding=1))
        self.model = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: B×3×H×W in [-1, 1]. Returns B×1×h×w logits, h = H / 2**n_layers - 2: larger means more real."""
        return self.model(x)
