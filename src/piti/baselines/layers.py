"""The layers that SPADE and OASIS share: spectrally normalised convolution, SPADE normalisation, residual block."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SpectralConv2d(nn.Conv2d):
    """Convolution whose weight is divided by its largest singular value, followed by power iteration (1802.05957).

    One iteration a forward in train mode. State-dict names are those of torch's old `spectral_norm`, which the
    releases use; unlike it, this stays in float32 under autocast, can be deep-copied and draws nothing by itself.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.weight_orig = self.weight
        del self.weight
        matrix = self.weight_orig.flatten(1)
        self.register_buffer("weight_u", F.normalize(torch.ones(matrix.shape[0]), dim=0))
        self.register_buffer("weight_v", F.normalize(torch.ones(matrix.shape[1]), dim=0))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            matrix, u, v = self.weight_orig.flatten(1), self.weight_u, self.weight_v
            if self.training:
                with torch.no_grad():
                    v = F.normalize(matrix.T @ u, dim=0, eps=1e-12)
                    u = F.normalize(matrix @ v, dim=0, eps=1e-12)
                # new tensors: written in place, the next forward would overwrite what this one's backward needs
                self.weight_u, self.weight_v = u, v
            sigma = u @ (matrix @ v)
            weight = self.weight_orig / sigma
        return self._conv_forward(x, weight, self.bias)


class SPADENorm(nn.Module):
    """Spatially-adaptive normalisation: batch_norm(x) * (1 + gamma) + beta, both convolved from the condition."""

    def __init__(self, channels: int, condition_channels: int, nhidden: int, norm_name: str):
        """`norm_name` is what the release calls its parameter-free batch norm."""
        super().__init__()
        self.norm_name = norm_name
        self.add_module(norm_name, nn.BatchNorm2d(channels, affine=False))
        self.mlp_shared = nn.Sequential(nn.Conv2d(condition_channels, nhidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(nhidden, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(nhidden, channels, 3, padding=1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        hidden = self.mlp_shared(condition)  # N×nhidden×H×W
        return getattr(self, self.norm_name)(x) * (1 + self.mlp_gamma(hidden)) + self.mlp_beta(hidden)


class SPADEResnetBlock(nn.Module):
    """Two SPADE, LeakyReLU, convolution in a row, beside a shortcut (a 1×1 convolution where the width changes)."""

    def __init__(self, in_channels: int, out_channels: int, norm: Callable[[int], SPADENorm]):
        super().__init__()
        middle = min(in_channels, out_channels)
        self.learned_shortcut = in_channels != out_channels
        self.conv_0 = SpectralConv2d(in_channels, middle, 3, padding=1)
        self.conv_1 = SpectralConv2d(middle, out_channels, 3, padding=1)
        if self.learned_shortcut:
            self.conv_s = SpectralConv2d(in_channels, out_channels, 1, bias=False)
        self.norm_0 = norm(in_channels)
        self.norm_1 = norm(middle)
        if self.learned_shortcut:
            self.norm_s = norm(in_channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        condition = shrink(condition, x.shape[2])
        h = self.conv_0(F.leaky_relu(self.norm_0(x, condition), 0.2))
        h = self.conv_1(F.leaky_relu(self.norm_1(h, condition), 0.2))  # N×out×H×W
        return h + (self.conv_s(self.norm_s(x, condition)) if self.learned_shortcut else x)


def shrink(condition: Tensor, resolution: int) -> Tensor:
    """N×C×S×S -> N×C×resolution×resolution by nearest neighbour: what `F.interpolate` picks, uncopied."""
    step = condition.shape[2] // resolution
    return condition[:, :, ::step, ::step]


@torch.no_grad()
def init_convolutions(module: nn.Module, init_weight: Callable[..., Tensor], generator: torch.Generator) -> None:
    """Draw every convolution's weight by `init_weight(weight, generator=...)`, set its bias to 0, restart its norm."""
    for layer in module.modules():
        if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            continue
        spectral = isinstance(layer, SpectralConv2d)
        init_weight(layer.weight_orig if spectral else layer.weight, generator=generator)
        if layer.bias is not None:
            layer.bias.zero_()
        if spectral:
            for buffer in (layer.weight_u, layer.weight_v):
                buffer.copy_(F.normalize(buffer.normal_(generator=generator), dim=0))


def xavier(weight: Tensor, generator: torch.Generator) -> Tensor:
    """The initialisation of SPADE and OASIS (facts 3.2, 3.3)."""
    return nn.init.xavier_normal_(weight, gain=0.02, generator=generator)
