"""The first half of EfficientNet-Lite0, under timm's names (`tf_efficientnet_lite0`), without timm's 3 s of import."""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F

# Groups of blocks: expansion, channels, kernel, stride of the first block, blocks. (Tan & Le 2019, table 1, "Lite".)
GROUPS = ((1, 16, 3, 1, 1), (6, 24, 3, 2, 2), (6, 40, 5, 2, 2), (6, 80, 3, 2, 3))


class Trunk(nn.Module):
    """Stem and four groups of blocks: B×3×S×S in [-1, 1] -> B×80×S/16×S/16."""

    def __init__(self):
        super().__init__()
        self.conv_stem, self.bn1 = SameConv2d(3, 32, 3, stride=2, bias=False), _norm(32)
        groups, width = [], 32
        for expansion, channels, kernel, stride, count in GROUPS:
            group = []
            for i in range(count):
                group.append(_block(expansion, width, channels, kernel, stride if i == 0 else 1))
                width = channels
            groups.append(nn.Sequential(*group))
        self.blocks = nn.Sequential(*groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks(F.relu6(self.bn1(self.conv_stem(x))))


class SameConv2d(nn.Conv2d):
    """Convolution padded as TensorFlow's "SAME": the odd row and column go to the bottom right."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        pads = [
            max((-(-resolution // stride) - 1) * stride + kernel - resolution, 0)
            for resolution in (x.shape[3], x.shape[2])
        ]
        return super().forward(F.pad(x, [half for pad in pads for half in (pad // 2, pad - pad // 2)]))


class Residual(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(x)


def _block(expansion: int, width: int, channels: int, kernel: int, stride: int) -> nn.Sequential:
    """An inverted bottleneck; without expansion it begins with its depthwise convolution."""
    hidden = width * expansion
    parts = {
        "conv_pw": nn.Conv2d(width, hidden, 1, bias=False),
        "bn1": _norm(hidden),
        "act1": nn.ReLU6(),
        "conv_dw": SameConv2d(hidden, hidden, kernel, stride, groups=hidden, bias=False),
        "bn2": _norm(hidden),
        "act2": nn.ReLU6(),
        "conv_pwl": nn.Conv2d(hidden, channels, 1, bias=False),
        "bn3": _norm(channels),
    }
    if expansion == 1:
        later = {"conv_dw": "conv_dw", "bn2": "bn1", "act2": "act1", "conv_pwl": "conv_pw", "bn3": "bn2"}
        parts = {name: parts[full] for full, name in later.items()}
    kind = Residual if stride == 1 and width == channels else nn.Sequential
    return kind(OrderedDict(parts))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)
