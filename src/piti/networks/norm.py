"""Instance normalisation: of each channel of each image by itself."""

from torch import nn


def instance_norm(channels: int, affine: bool = False) -> nn.GroupNorm:
    """A group for each channel: the same numbers and parameter names as `nn.InstanceNorm2d(channels, affine=affine)`.

    That one's gradient is wrong where a single image in channels-last memory goes through it (torch 2.14.1 on CPUs).
    """
    return nn.GroupNorm(channels, channels, affine=affine)
