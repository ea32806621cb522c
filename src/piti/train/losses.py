"""What PITI's networks learn by: equations 2 to 5 of the paper, then the release's own forms of 4 and 5.

Nothing here draws, keeps or changes anything. Images are B×3×H×W in [-1, 1]: x_0 from the data, `predicted` the
network's x̂_0 of them; a loss has one value per image (B), before its weight. A discriminator returns logits, larger for
what looks more real; its own loss is the sum of its terms, each the mean of a batch.
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from piti.diffusion.bound import mean_flat, variational_bound
from piti.diffusion.gaussian import GaussianDiffusion
from piti.networks.perceptual import FIVE_LEVELS

Terms = dict[str, Tensor]
Discriminator = Callable[[Tensor], Tensor]  # B×3×H×W -> B×1×h×w
Features = Callable[[Tensor], list[Tensor]]  # B×3×H×W -> one B×c×h×w per layer


def noise_prediction(
    network: Callable[..., Tensor],
    diffusion: GaussianDiffusion,
    x_0: Tensor,
    y: tuple[Tensor, ...],
    t: Tensor,
    noise: Tensor,
    low_res: Tensor | None = None,
) -> tuple[Terms, Tensor]:
    """Predict the noise in x_t under the condition y. Returns the terms and x̂_0; t: B, noise: B×3×H×W.

    The paper's is "mse". GLIDE's network also predicts its variance, which learns by the variational bound "vb".
    """
    x_t = diffusion.q_sample(x_0, t, noise)  # equation 2
    output = network(x_t, diffusion.network_timesteps(t), *y, low_res=low_res).to(x_0.dtype)
    epsilon, v = output.chunk(2, dim=1)  # ε_θ(x_t, y, t) and the place of the variance in its range, each B×3×H×W
    mse = mean_flat((noise - epsilon) ** 2)  # equation 3
    vb = variational_bound(diffusion, torch.cat([epsilon.detach(), v], dim=1), x_0, x_t, t)
    return {"mse": mse, "vb": vb * (diffusion.num_timesteps / 1000)}, diffusion.predict_x_start(x_t, t, epsilon)


def multilevel(vgg: Features, predicted: Tensor, x_0: Tensor) -> Tensor:
    """Equation 4: sum over layers of |ψ(x̂_0) - ψ(x_0)|, the norm not squared.

    Each over √(c·h·w), which the paper does not give: it makes a layer's part independent of its size.
    """
    return sum(torch.linalg.vector_norm(d, dim=1) / d.shape[1] ** 0.5 for d in differences(vgg, predicted, x_0))


def log_gan_discriminator(discriminator: Discriminator, real: Tensor, fake: Tensor, mix: Tensor) -> Terms:
    """Equation 5 for D = sigmoid(logits): -log D(x_0) and -log(1 - D(x̂_0)). The paper has `real` and `fake` exchanged.

    `mix` is not used; it makes the two kinds alike to call.
    """
    return {
        "real": F.softplus(-discriminator(real).float()).mean(),
        "fake": F.softplus(discriminator(fake.detach()).float()).mean(),
    }


def log_gan_generator(discriminator: Discriminator, fake: Tensor) -> Tensor:
    """Equation 5 for the network: -log D(x̂_0), mean over the patches.

    Goodfellow et al. (2014) use it in place of equation 5's log(1 - D(x̂_0)), whose gradient vanishes where the
    discriminator is sure; the fixed point is the same.
    """
    return mean_flat(F.softplus(-discriminator(fake).float()))


# -- the release's (facts 1.2) -------------------------------------------------------------------------------------


def conv2_2(vgg: Features, predicted: Tensor, x_0: Tensor) -> Tensor:
    """Mean of the squared difference at one layer."""
    (difference,) = differences(vgg, predicted, x_0)
    return difference.square().mean(dim=1)


def wgan_gp_discriminator(
    discriminator: Discriminator, real: Tensor, fake: Tensor, mix: Tensor, weight: float = 10.0
) -> Terms:
    """mean(D(fake)) - mean(D(real)), and `weight` times the gradient penalty (Gulrajani et al., 2017).

    mix: B×1×1×1, uniform in [0, 1): where between the two images the penalty is taken.
    """
    fake = fake.detach()
    return {
        "wasserstein": discriminator(fake).float().mean() - discriminator(real).float().mean(),
        "gradient_penalty": weight * gradient_penalty(discriminator, (1 - mix) * fake + mix * real),
    }


def gradient_penalty(discriminator: Discriminator, x: Tensor) -> Tensor:
    """Mean of (|dD/dx| - 1)^2, where D is the sum of an image's patches and the norm runs over the whole image."""
    x = x.detach().requires_grad_()
    (grad,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return (torch.linalg.vector_norm(grad.float().flatten(1), dim=1) - 1).square().mean()


def wgan_gp_generator(discriminator: Discriminator, fake: Tensor) -> Tensor:
    """-D(fake), mean over the patches."""
    return -mean_flat(discriminator(fake).float())


def differences(vgg: Features, predicted: Tensor, x_0: Tensor) -> Iterator[Tensor]:
    """Of the features at each layer, B×(c·h·w). Gradients flow to `predicted` alone."""
    with torch.no_grad():
        wanted = vgg(x_0)
    return ((a.float() - b.float()).flatten(1) for a, b in zip(vgg(predicted), wanted, strict=True))


# what a row of models.yaml calls them: the VGG layers and the loss on them; the discriminator's loss and the network's
PERCEPTUAL = {"multilevel": (FIVE_LEVELS, multilevel), "conv2_2": (("conv2_2",), conv2_2)}
ADVERSARIAL = {
    "log_gan": (log_gan_discriminator, log_gan_generator),
    "wgan_gp": (wgan_gp_discriminator, wgan_gp_generator),
}
