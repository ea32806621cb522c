"""What Pix2PixHD and SPADE share: patch discriminators at several scales, and the losses on their features."""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Scales = list[list[Tensor]]  # scale -> layer -> features; the last layer's are the logits

# gan_mode -> the loss of a logit, for: the discriminator on real, the discriminator on fake, the generator on fake
ADVERSARIAL = {
    "hinge": (lambda x: F.relu(1 - x), lambda x: F.relu(1 + x), lambda x: -x),
    "ls": (lambda x: (x - 1) ** 2, lambda x: x**2, lambda x: (x - 1) ** 2),
    "original": (lambda x: F.softplus(-x), F.softplus, lambda x: F.softplus(-x)),
    "w": (lambda x: -x, lambda x: x, lambda x: -x),
}
VGG_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1)  # relu1_1 … relu5_1


def patch_layers(
    in_channels: int, ndf: int, hidden: int, conv_norm: Callable[[int, int, int], list[nn.Module]]
) -> list[nn.Sequential]:
    """One patch discriminator, layer by layer: 4×4 kernels, padding 2, width doubling from `ndf` up to 512.

    A plain first layer, then `hidden` layers made by `conv_norm(in, out, stride)`, the last with stride 1, then logits.
    """
    widths = [min(ndf * 2**i, 512) for i in range(hidden + 1)]
    layers = [nn.Sequential(nn.Conv2d(in_channels, ndf, 4, stride=2, padding=2), nn.LeakyReLU(0.2))]
    for i in range(1, hidden + 1):
        stride = 2 if i < hidden else 1
        layers.append(nn.Sequential(*conv_norm(widths[i - 1], widths[i], stride), nn.LeakyReLU(0.2)))
    return [*layers, nn.Sequential(nn.Conv2d(widths[-1], 1, 4, padding=2))]


def multiscale_features(discriminators: Iterable[Iterable[nn.Module]], x: Tensor) -> Scales:
    """All features of each discriminator; each sees its predecessor's input at half the resolution."""
    scales = []
    for layers in discriminators:
        features = [x]
        for layer in layers:
            features.append(layer(features[-1]))
        scales.append(features[1:])
        x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
    return scales


def compare(discriminator: nn.Module, semantics: Tensor, fake: Tensor, image: Tensor) -> tuple[Scales, Scales]:
    """Features of fake and of real pairs, from one pass with the fake ones first."""
    pairs = torch.cat([torch.cat([semantics, fake], 1), torch.cat([semantics, image], 1)])
    scales = discriminator(pairs)
    return tuple([[features.chunk(2)[half] for features in layers] for layers in scales] for half in (0, 1))


def adversarial_loss(loss: Callable[[Tensor], Tensor], scales: Scales) -> Tensor:
    """Mean of `loss` over each scale's logits (S)."""
    return torch.stack([loss(features[-1].float()).mean() for features in scales])


def feature_matching(fake: Scales, real: Scales) -> Tensor:
    """L1 between the features of fake and real, logits left out: sum over layers, mean over scales."""
    return sum(
        F.l1_loss(f, r.detach())
        for fake_features, real_features in zip(fake, real, strict=True)
        for f, r in zip(fake_features[:-1], real_features[:-1], strict=True)
    ) / len(fake)


def vgg_loss(vgg: Callable[[Tensor], list[Tensor]], fake: Tensor, image: Tensor) -> Tensor:
    """L1 between VGG19 features of fake and real, weighted by VGG_WEIGHTS. Images stay in [-1,1]."""
    with torch.no_grad():
        real = vgg(image)
    return sum(w * F.l1_loss(f, r) for w, f, r in zip(VGG_WEIGHTS, vgg(fake), real, strict=True))
