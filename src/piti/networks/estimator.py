"""Estimators: networks that predict a condition from a picture, to measure how well the picture follows it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from piti.cards import EstimatorConfig


def build(config: EstimatorConfig) -> nn.Module:
    """The network: pictures N×3×S×S in [-1, 1] -> N×out_channels×S×S."""
    return NETWORKS[config.architecture](config)


class DeepLab(nn.Module):
    """torchvision's DeepLabV3 on a ResNet-50; `trunk` takes the weights of an ImageNet classifier."""

    def __init__(self, config: EstimatorConfig):
        super().__init__()
        from torchvision.models.segmentation import deeplabv3_resnet50  # seconds

        self.network = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=config.out_channels)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225])[:, None, None], persistent=False)

    @property
    def trunk(self) -> nn.Module:
        return self.network.backbone

    def forward(self, images: Tensor) -> Tensor:
        return self.network(((images + 1) / 2 - self.mean) / self.deviation)["out"]


class SmallUNet(nn.Module):
    """A U-Net of three levels on 2×2 blocks of pixels, for small pictures and few steps."""

    def __init__(self, config: EstimatorConfig):
        super().__init__()
        w = config.width
        self.down = nn.ModuleList([block(12, w), block(w, 2 * w), block(2 * w, 4 * w)])
        self.up = nn.ModuleList([block(6 * w, 2 * w), block(3 * w, w)])
        self.out = nn.Conv2d(w, config.out_channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        x, skips = F.pixel_unshuffle(images, 2), []  # N×12×S/2×S/2
        for layer in self.down:
            x = layer(F.max_pool2d(x, 2) if skips else x)
            skips.append(x)  # N×w×S/2×S/2, N×2w×S/4×S/4, N×4w×S/8×S/8
        for layer, skip in zip(self.up, skips[-2::-1], strict=True):
            x = layer(torch.cat([F.interpolate(x, scale_factor=2, mode="bilinear"), skip], dim=1))
        return self.out(F.interpolate(x, scale_factor=2, mode="bilinear"))


def block(channels: int, width: int) -> nn.Sequential:
    """Two convolutions, each normalised over the picture, so that nothing depends on the batch."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=False),
        nn.GroupNorm(1, width),
        nn.SiLU(),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.GroupNorm(1, width),
        nn.SiLU(),
    )


NETWORKS = {"deeplabv3_resnet50": DeepLab, "small_unet": SmallUNet}
