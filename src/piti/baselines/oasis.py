"""OASIS (2012.04781; facts 3.3): SPADE's generator with noise everywhere, a discriminator that segments its input."""

import functools
import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from piti.baselines.contract import VGG, Baseline, Tensors
from piti.baselines.layers import SPADENorm, SPADEResnetBlock, SpectralConv2d, init_convolutions, shrink, xavier
from piti.cards.baselines import OASISConfig


class Generator(nn.Module):
    """One-hot N×C×H×W and noise N×Z -> image N×3×H×W in [-1,1]. The latent is the condition at 1/32 of the resolution,
    at 1/16 with five blocks, of which the widest is left out."""

    def __init__(self, condition_channels: int, channels: int, nhidden: int, z_dim: int, num_res_blocks: int):
        super().__init__()
        condition_channels += z_dim
        norm = functools.partial(
            SPADENorm, condition_channels=condition_channels, nhidden=nhidden, norm_name="first_norm"
        )
        widths = [channels * factor for factor in (16, 16, 16, 8, 4, 2, 1)][-num_res_blocks - 1 :]
        self.conv_img = nn.Conv2d(channels, 3, 3, padding=1)
        self.body = nn.ModuleList(SPADEResnetBlock(a, b, norm) for a, b in itertools.pairwise(widths))
        self.fc = nn.Conv2d(condition_channels, widths[0], 3, padding=1)

    def forward(self, semantics: Tensor, noise: Tensor) -> Tensor:
        height, width = semantics.shape[2:]
        condition = torch.cat([noise[:, :, None, None].expand(-1, -1, height, width), semantics], dim=1)
        x = self.fc(shrink(condition, height >> (len(self.body) - 1)))
        for i, block in enumerate(self.body):
            if i:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = block(x, condition)
        return torch.tanh(self.conv_img(F.leaky_relu(x, 0.2)).float())  # N×3×H×W


class DownBlock(nn.Module):
    """Residual block of the discriminator that halves the resolution. The first one has no activation before it."""

    def __init__(self, in_channels: int, out_channels: int, first: bool):
        super().__init__()
        conv = SpectralConv2d(in_channels, out_channels, 3, padding=1)
        self.conv1 = nn.Sequential(conv) if first else nn.Sequential(nn.LeakyReLU(0.2), conv)
        self.conv2 = nn.Sequential(nn.LeakyReLU(0.2), SpectralConv2d(out_channels, out_channels, 3, padding=1))
        self.conv_s = SpectralConv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(self.conv1(x))
        return F.avg_pool2d(h, 2) + self.conv_s(F.avg_pool2d(x, 2))  # a 1×1 convolution and a mean commute


class UpBlock(nn.Module):
    """Residual block of the discriminator that doubles the resolution."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        conv = SpectralConv2d(in_channels, out_channels, 3, padding=1)
        self.conv1 = nn.Sequential(nn.LeakyReLU(0.2), nn.Upsample(scale_factor=2), conv)
        self.conv2 = nn.Sequential(nn.LeakyReLU(0.2), SpectralConv2d(out_channels, out_channels, 3, padding=1))
        self.conv_s = SpectralConv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(self.conv1(x))
        return h + F.interpolate(self.conv_s(x), scale_factor=2, mode="nearest")


class Discriminator(nn.Module):
    """A U-Net: image N×3×H×W -> logits N×(classes+1)×H×W, channel 0 = fake, channel k+1 = class k."""

    def __init__(self, num_classes: int, channels: int, num_res_blocks: int):
        super().__init__()
        down = [3, *(channels * factor for factor in (1, 1, 2, 2, 4, 4))][: num_res_blocks + 1]
        up = [channels * 4, channels * 2, channels * 2, channels, channels, channels // 2][-num_res_blocks:]
        # behind the first, each takes its predecessor's output and the features of the same resolution on the way down
        entering = [down[-1], *(a + b for a, b in zip(up[:-1], reversed(down[1:-1]), strict=True))]
        self.body_up = nn.ModuleList(UpBlock(a, b) for a, b in zip(entering, up, strict=True))
        self.body_down = nn.ModuleList(
            DownBlock(a, b, first=i == 0) for i, (a, b) in enumerate(itertools.pairwise(down))
        )
        self.layer_up_last = nn.Conv2d(up[-1], num_classes + 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        x, skips = image, []
        for block in self.body_down:
            x = block(x)
            skips.append(x)
        x = self.body_up[0](skips.pop())
        for block in self.body_up[1:]:
            x = block(torch.cat([skips.pop(), x], dim=1))
        return self.layer_up_last(x)


class OASIS(Baseline):
    """Each of the two updates draws its own noise; the generator with EMA weights is the one that samples."""

    def __init__(self, config: OASISConfig):
        super().__init__(
            config,
            Generator(
                config.condition_channels, config.channels_G, config.nhidden, config.z_dim, config.num_res_blocks
            ),
            Discriminator(config.condition_channels, config.channels_D, config.num_res_blocks),
        )

    def initialise(self, generator: torch.Generator) -> None:
        init_convolutions(self, xavier, generator)

    def draw(self, generator: torch.Generator, batch_size: int) -> Tensors:
        """`noise` and `discriminator_noise` N×Z; `coins` N×C, every row the same: one toss a class."""
        return {
            "noise": torch.randn(batch_size, self.config.z_dim, generator=generator),
            "discriminator_noise": torch.randn(batch_size, self.config.z_dim, generator=generator),
            "coins": torch.randint(2, (1, self.config.condition_channels), generator=generator).repeat(batch_size, 1),
        }

    def batch_sums(self, semantics: Tensor) -> Tensors:
        """`class_counts` C: pixels of each class."""
        return {"class_counts": semantics.sum(dim=(0, 2, 3))}

    def generate(self, semantics: Tensor, drawn: Tensors) -> Tensor:
        return self.generator(semantics, drawn["noise"])

    def discriminator_fake(self, semantics: Tensor, fake: Tensor, drawn: Tensors) -> Tensor:
        with torch.no_grad():
            return self.generator(semantics, drawn["discriminator_noise"])

    def generator_loss(
        self, semantics: Tensor, image: Tensor, fake: Tensor, drawn: Tensors, vgg: VGG | None = None
    ) -> Tensors:
        return {"gan": segmentation_loss(self.discriminator(fake), semantics, self.class_weights(drawn))}

    def discriminator_loss(self, semantics: Tensor, image: Tensor, fake: Tensor, drawn: Tensors) -> Tensors:
        on_fake, on_real = self.discriminator(fake), self.discriminator(image)
        mask = labelmix_mask(semantics, drawn["coins"][0], drawn["class_counts"])
        on_mixed = self.discriminator(torch.lerp(fake, image, mask))
        return {
            "fake": fake_loss(on_fake),
            "real": segmentation_loss(on_real, semantics, self.class_weights(drawn)),
            "labelmix": self.config.lambda_labelmix * labelmix_loss(on_mixed, on_fake, on_real, mask),
        }

    def class_weights(self, drawn: Tensors) -> Tensor:
        """Weight of each class (C), no more than the configuration allows."""
        return class_weights(drawn["class_counts"]).clamp(max=self.config.max_class_weight or torch.inf)


def class_weights(counts: Tensor, void: bool = True) -> Tensor:
    """Weight of each class (C): pixels / (pixels of the class * number of classes present); 0 for void, class 0.

    counts: pixels of each class in the whole batch (C).
    """
    pixels = counts.sum()
    if void:
        counts = torch.cat([torch.zeros_like(counts[:1]), counts[1:]])
    present = counts > 0
    return torch.where(present, pixels / (counts * present.sum()), 0.0)


def segmentation_loss(logits: Tensor, semantics: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of real pixels, class k being logit k+1: weighted by class, mean over all pixels, void included."""
    target = semantics.argmax(dim=1) + 1
    weights = F.pad(weights, (1, 0))
    return F.cross_entropy(logits.float(), target, weights, reduction="sum") / target.numel()


def fake_loss(logits: Tensor) -> Tensor:
    """Cross-entropy of fake pixels, which are all of class 0."""
    return F.cross_entropy(logits.float(), torch.zeros_like(logits[:, 0], dtype=torch.long))


def labelmix_mask(semantics: Tensor, coins: Tensor, counts: Tensor) -> Tensor:
    """N×1×H×W of 0 (fake) and 1 (real), one coin a class: `coins[i]` is for the i-th class that occurs in the batch.

    counts: pixels of each class in the whole batch (C).

    The release overwrites the label map while it loops over the classes, so pixels of class 0 whose coin is 1 get the
    coin of class 1, where that occurs. So do these.
    """
    present = counts > 0
    coin = coins[present.cumsum(0) - 1].to(semantics.dtype)  # absent classes get some coin, which nobody reads
    coin[0] = torch.where(present[1], coin[0] * coin[1], coin[0])
    return coin[semantics.argmax(dim=1)][:, None]


def labelmix_loss(on_mixed: Tensor, on_fake: Tensor, on_real: Tensor, mask: Tensor) -> Tensor:
    """The logits of the mixed image should be the mixed logits: mean squared difference."""
    return F.mse_loss(on_mixed.float(), torch.lerp(on_fake.float(), on_real.float(), mask))
