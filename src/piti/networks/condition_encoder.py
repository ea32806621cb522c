"""PITI's condition encoder (facts 1.4): a convolutional stem, then a transformer over its grid and a class token."""

import torch
from torch import nn

from piti.cards import EncoderConfig
from piti.networks.norm import instance_norm
from piti.networks.transformer import Transformer


class ConditionEncoder(nn.Module):
    """A condition B x in_channels x resolution x resolution in [-1, 1] -> tokens B x (resolution >> strides)² x
    width, pooled B x width.

    The class token is the last position, though row 0 of the positional embedding belongs to it. The release leaves
    both as allocated memory (facts 1.8); here they start from N(0, 0.02²), or the places of the grid as sinusoids: few
    steps teach a small model no places.
    """

    def __init__(self, config: EncoderConfig):
        super().__init__()
        grid = config.resolution >> config.strides
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, config.width))
        self.positional_embedding = nn.Parameter(0.02 * torch.randn(1, 1 + grid**2, config.width))
        if config.positions == "sinusoids":
            self.positional_embedding.data[:, 1:] = sinusoids(grid, config.width)
        self.transformer = Transformer(config.width, config.layers, config.heads)
        self.cnn = Stem(config)
        self.final_ln = nn.LayerNorm(config.width)

    def forward(self, condition: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        condition = condition.to(self.cls_token.dtype)
        tokens = self.cnn(condition).flatten(2).transpose(1, 2)  # B x grid² x width
        tokens = tokens + self.positional_embedding[:, 1:]
        class_token = (self.cls_token + self.positional_embedding[:, :1]).expand(len(tokens), -1, -1)
        out = self.final_ln(self.transformer(torch.cat([tokens, class_token], dim=1)))
        return out[:, :-1], out[:, -1]


def sinusoids(grid: int, width: int) -> torch.Tensor:
    """grid² x width, row by row: sine and cosine of x, then of y, with periods from 4 tokens to 4 grids."""
    frequencies = torch.logspace(0, 1, width // 4, base=1 / grid) * torch.pi / 2
    y, x = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    angles = [place.flatten()[:, None] * frequencies for place in (x, y)]
    return torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], dim=1)


class Stem(nn.Module):
    """7x7 convolution, `strides` 3x3 convolutions of stride 2 that double the width, a plain 3x3 one."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        widths = [config.width >> (config.strides - i) for i in range(config.strides + 1)]
        self.strides = config.strides
        self.conv1 = nn.Conv2d(config.in_channels, widths[0], 7, padding=3)
        self.norm1 = instance_norm(widths[0], affine=True)
        for i in range(1, len(widths)):
            setattr(self, f"conv{i + 1}", nn.Conv2d(widths[i - 1], widths[i], 3, stride=2, padding=1))
            setattr(self, f"norm{i + 1}", instance_norm(widths[i], affine=True))
        setattr(self, f"conv{len(widths) + 1}", nn.Conv2d(config.width, config.width, 3, padding=1))
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i in range(1, self.strides + 2):
            x = getattr(self, f"conv{i}")(x)
            x = self.activation(getattr(self, f"norm{i}")(x))
        return getattr(self, f"conv{self.strides + 2}")(x)  # B x width x resolution >> strides x resolution >> strides
