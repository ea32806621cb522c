"""What the one training loop asks of a GAN baseline.

A step of training, the same for all:

    drawn = baseline.draw(generator, batch_size)  # for the global batch; a process or micro-batch takes its slice
    drawn |= baseline.batch_sums(semantics)       # added up over micro-batches and processes
    fake = baseline.generate(semantics, drawn)
    sum(baseline.generator_loss(semantics, image, fake, drawn, vgg).values())   # the generator's update
    fake = baseline.discriminator_fake(semantics, fake, drawn)
    sum(baseline.discriminator_loss(semantics, image, fake, drawn).values())    # then the discriminator's

The discriminator's parameters may be frozen (`requires_grad_(False)`) during the generator's update.

`semantics` is N×C×S×S (one-hot labels with instance boundaries, or a real-valued map), images are N×3×S×S in [-1,1].
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from piti.cards import BaselineConfig

Tensors = dict[str, Tensor]
VGG = Callable[[Tensor], list[Tensor]]  # image -> features at relu1_1, relu2_1, relu3_1, relu4_1, relu5_1


class Baseline(nn.Module):
    """A generator, a discriminator and their losses. State-dict names below the two are those of the releases."""

    def __init__(self, config: BaselineConfig, generator: nn.Module, discriminator: nn.Module):
        super().__init__()
        self.config = config
        self.generator = generator
        self.discriminator = discriminator

    def initialise(self, generator: torch.Generator) -> None:
        """Draw every weight anew from `generator`, on its device. Biases start at 0."""
        raise NotImplementedError

    def draw(self, generator: torch.Generator, batch_size: int) -> Tensors:
        """Everything random of one step. The first axis of each tensor is the batch, so that it can be sliced."""
        return {}

    def batch_sums(self, semantics: Tensor) -> Tensors:
        """What the losses need to know of the whole batch, as sums over its images."""
        return {}

    def generate(self, semantics: Tensor, drawn: Tensors) -> Tensor:
        """Images for the condition."""
        return self.generator(semantics)

    def discriminator_fake(self, semantics: Tensor, fake: Tensor, drawn: Tensors) -> Tensor:
        """The image that the discriminator's step sees: a new one by the updated generator, without gradients."""
        with torch.no_grad():
            return self.generate(semantics, drawn)

    def generator_loss(
        self, semantics: Tensor, image: Tensor, fake: Tensor, drawn: Tensors, vgg: VGG | None = None
    ) -> Tensors:
        """Weighted terms; their sum is the generator's loss."""
        raise NotImplementedError

    def discriminator_loss(self, semantics: Tensor, image: Tensor, fake: Tensor, drawn: Tensors) -> Tensors:
        """Weighted terms; their sum is the discriminator's loss."""
        raise NotImplementedError

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam for each network."""
        config = self.config
        rates = {"generator": config.lr_generator, "discriminator": config.lr_discriminator}
        return {
            name: torch.optim.Adam(getattr(self, name).parameters(), rate, config.betas, fused=True)
            for name, rate in rates.items()
        }

    def lr_factor(self, step: int, total: int) -> float:
        """Factor of both learning rates: 1, then linearly to 0 over the last `config.decay` of `total` steps.

        The releases change it by epoch, this by step.
        """
        decaying = self.config.decay * total
        return min(1.0, (total - step) / decaying) if decaying else 1.0
