"""The upsampler's parts: degradation, perceptual loss, discriminator and adversarial loss."""

import re

import cv2
import numpy as np
import torch

from piti.data import degradation
from piti.data.l0_smooth import l0_smooth
from piti.networks.patch_discriminator import PatchDiscriminator
from piti.networks.perceptual import VGGFeatures
from piti.train.losses import PERCEPTUAL, wgan_gp_discriminator, wgan_gp_generator
from tests.golden.check import Tolerance
from tests.golden.rule import Case


def bsr_primitives(case: Case) -> dict[str, np.ndarray]:
    """The names and texts of the outputs carry their parameters, e.g. aniso_k7_t0.3_1.2_0.4."""
    image = case.input("image")
    return {name: _primitive(name, spec["what"], image) for name, spec in case.entry["outputs"].items()}


def _primitive(name: str, what: str, image: np.ndarray) -> np.ndarray | None:
    numbers = [float(n) for n in re.findall(r"\d+\.?\d*", name)]
    stated = [float(n) for n in re.findall(r"\d+\.?\d*", what)]
    height, width, _ = image.shape
    if name.startswith("aniso"):
        size, theta, *variances = numbers
        return degradation.gaussian_kernel(int(size), theta, *variances)
    if name.startswith("fspecial"):
        size, sigma = numbers
        return degradation.gaussian_kernel(int(size), 0.0, sigma**2, sigma**2)
    if name.startswith("shifted"):
        size, sigma, factor = numbers
        return degradation.shift_kernel(degradation.gaussian_kernel(int(size), 0.0, sigma**2, sigma**2), int(factor))
    if name.startswith("cv_resize"):  # "... to (w//3, h//3) with interpolation 1"
        divisor, _, interpolation = map(int, stated)
        return cv2.resize(image, (width // divisor, height // divisor), interpolation=interpolation)
    if name == "imresize_half":
        return degradation.halve(image)
    if name == "blur_mirror":  # "... fspecial gaussian(5, 0.8) ..."
        size, sigma = stated
        return degradation.convolve(image, degradation.gaussian_kernel(int(size), 0.0, sigma**2, sigma**2))
    if name == "single2uint":  # "... of image*1.2-0.1"
        *_, gain, offset = stated
        return degradation.to_uint8(image * gain - offset)
    return None


def smooth(case: Case) -> dict[str, np.ndarray]:
    """The reference takes 0..255, divides by 256 and truncates its result to uint8."""

    def reference(image: np.ndarray) -> np.ndarray:
        return 256 * l0_smooth(image / 256, case.config["lam"], case.config["kappa"], case.config["beta_max"])

    image = case.input("image").astype(np.float64)
    return {
        "out_float": reference(image),
        "out_uint8": reference(image).astype(np.uint8),
        "out_from_unit_float": reference(image / 255).astype(np.uint8),
    }


def smooth_tolerance(case: Case, output: str) -> Tolerance:
    """The entry's words, widened where even float64 misses them: one decision at the threshold moves a whole region a
    little (on pictures of this recipe up to 10 % of the pixels by more than 0.05, but 0.1 % by more than one level).
    """
    return Tolerance(abs=0.05, share=0.1) if output == "out_float" else Tolerance(abs=1, share=0.005)


def vgg_loss(case: Case) -> dict[str, np.ndarray]:
    layers, loss = PERCEPTUAL["conv2_2"]
    vgg = VGGFeatures({name: torch.from_numpy(value) for name, value in case.weights().items()}, layers)
    pred = torch.from_numpy(case.input("pred")).requires_grad_()
    real = torch.from_numpy(case.input("real"))
    value = loss(vgg, pred, real)
    (grad,) = torch.autograd.grad(value.mean(), pred)
    (features,) = vgg(real)
    return {"loss": value.detach().numpy(), "grad_pred": grad.numpy(), "feat": features.numpy()}


def patch_discriminator(case: Case) -> dict[str, np.ndarray]:
    network = case.fill(PatchDiscriminator(**case.config))
    with torch.no_grad():
        return {"out": network(torch.from_numpy(case.input("x"))).numpy()}


def wgan_gp(case: Case) -> dict[str, np.ndarray]:
    config = case.config
    network = case.fill(PatchDiscriminator(config["input_nc"], config["ndf"], config["n_layers"]))
    optimizer = torch.optim.Adam(network.parameters(), config["lr_dis"], betas=(0.9, 0.999))
    fake, real, eps = (torch.from_numpy(case.input(name)) for name in ("fake", "real", "epsilon"))
    out = {"loss_g_initial": wgan_gp_generator(network, fake)}
    for step in range(config["gan_k"]):
        terms = wgan_gp_discriminator(network, real, fake, eps, config["gp_weight"])
        optimizer.zero_grad()
        sum(terms.values()).backward()
        if step == 0:
            out |= {"loss_d": sum(terms.values()), "wdist": terms["wasserstein"], "gp": terms["gradient_penalty"]}
            out |= {f"grad_{name}": p.grad.clone() for name, p in network.named_parameters()}
            out["grad_norms"] = torch.stack([p.grad.norm() for p in network.parameters()])
        optimizer.step()
    fake.requires_grad_()
    out["loss_g"] = wgan_gp_generator(network, fake)
    (out["grad_fake"],) = torch.autograd.grad(out["loss_g"].mean(), fake)
    return {name: value.detach().numpy() for name, value in out.items()}


def wgan_gp_tolerance(case: Case, output: str) -> Tolerance | None:
    """In words: what follows the Adam step is compared at 1e-3, because its first step is a sign."""
    return Tolerance(rel=1e-3) if output in ("loss_g", "grad_fake") else None


CASES = {
    "bsr_primitives": bsr_primitives,
    "l0_smooth": smooth,
    "piti_vgg_loss": vgg_loss,
    "piti_patch_discriminator": patch_discriminator,
    "piti_wgan_gp": wgan_gp,
}
TOLERANCES = {"l0_smooth": smooth_tolerance, "piti_wgan_gp": wgan_gp_tolerance}
