"""Adversarial losses of the upsampler, as pure functions: the release's WGAN-GP and the paper's equation 5.

Both come as a pair of functions of one signature, so that a key chooses:

    discriminator loss (discriminator, real, fake, eps) -> terms by name, whose sum is minimised
    generator loss     (discriminator, fake)            -> one value per sample, before its weight (0.01, facts 1.2)

real, fake: B×C×H×W in [-1, 1]; eps: B×1×1×1, uniform in [0, 1), drawn by the caller; the discriminator returns logits.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F

Discriminator = Callable[[torch.Tensor], torch.Tensor]


def wgan_gp_discriminator_loss(
    discriminator: Discriminator, real: torch.Tensor, fake: torch.Tensor, eps: torch.Tensor, weight: float = 10.0
) -> dict[str, torch.Tensor]:
    """mean(D(fake)) - mean(D(real)), and `weight` times the gradient penalty (Gulrajani et al., 2017)."""
    fake = fake.detach()
    return {
        "wasserstein": discriminator(fake).float().mean() - discriminator(real).float().mean(),
        "gradient_penalty": weight * gradient_penalty(discriminator, (1 - eps) * fake + eps * real),
    }


def gradient_penalty(discriminator: Discriminator, x: torch.Tensor) -> torch.Tensor:
    """Mean of (|dD/dx| - 1)^2, where D is the sum of a sample's patches and the norm runs over the whole sample."""
    x = x.detach().requires_grad_()
    (grad,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return (torch.linalg.vector_norm(grad.float().flatten(1), dim=1) - 1).square().mean()


def wgan_gp_generator_loss(discriminator: Discriminator, fake: torch.Tensor) -> torch.Tensor:
    """-D(fake), mean over the patches."""
    return -_sample_mean(discriminator(fake))


def log_gan_discriminator_loss(
    discriminator: Discriminator, real: torch.Tensor, fake: torch.Tensor, eps: torch.Tensor
) -> dict[str, torch.Tensor]:
    """-log D(real) and -log(1 - D(fake)), D = sigmoid(logits): equation 5 with `real` and `fake` exchanged, negated.

    `eps` is not used; it makes the two losses alike to call.
    """
    return {
        "real": F.softplus(-discriminator(real).float()).mean(),
        "fake": F.softplus(discriminator(fake.detach()).float()).mean(),
    }


def log_gan_generator_loss(discriminator: Discriminator, fake: torch.Tensor) -> torch.Tensor:
    """-log D(fake), mean over the patches.

    Goodfellow et al. (2014) use it in place of equation 5's log(1 - D(fake)), whose gradient vanishes where the
    discriminator is sure; the fixed point is the same.
    """
    return _sample_mean(F.softplus(-discriminator(fake).float()))


def _sample_mean(x: torch.Tensor) -> torch.Tensor:
    return x.float().flatten(1).mean(dim=1)


LOSSES = {
    "wgan_gp": (wgan_gp_discriminator_loss, wgan_gp_generator_loss),
    "log_gan": (log_gan_discriminator_loss, log_gan_generator_loss),
}
