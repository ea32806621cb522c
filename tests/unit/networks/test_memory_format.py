"""Channels-last memory is a matter of speed: every network has the same output and gradients without it."""

import copy

import pytest
import torch
from tests.unit.train import tiny
from tests.unit.train.test_gan import GANS

from piti.baselines import build as build_baseline
from piti.cards import EstimatorConfig
from piti.networks.estimator import build as build_estimator
from piti.networks.patch_discriminator import PatchDiscriminator
from piti.networks.piti import PITI

CHANNELS = GANS["spade"].condition_channels


def piti_inputs(count: int, low_res: bool = False) -> list[torch.Tensor]:
    resolution = tiny.SIDE if low_res else tiny.BASE_SIDE
    inputs = [
        torch.randn(count, 3, resolution, resolution),
        torch.linspace(1, 900, count),
        torch.randn(count, 3, 32, 32),
    ]
    return [*inputs, torch.randn(count, 3, tiny.BASE_SIDE, tiny.BASE_SIDE)] if low_res else inputs


# name -> the network, and its inputs for so many images
NETWORKS = {
    "base": (lambda: PITI(tiny.UNET, tiny.ENCODER), piti_inputs),
    "upsampler": (lambda: PITI(tiny.UPSAMPLER, tiny.ENCODER), lambda n: piti_inputs(n, low_res=True)),
    "patch discriminator": (lambda: PatchDiscriminator(ndf=8), lambda n: [torch.randn(n, 3, 64, 64)]),
    "small_unet": (lambda: build_estimator(EstimatorConfig("small_unet", 8, 4)), lambda n: [torch.randn(n, 3, 32, 32)]),
}
for kind, config in GANS.items():
    made, condition = build_baseline(config), (CHANNELS, config.resolution, config.resolution)
    noise = [config.z_dim] if kind == "oasis" else []
    image = 3 if kind == "oasis" else CHANNELS + 3
    NETWORKS[f"{kind} generator"] = (
        lambda made=made: made.generator,
        lambda n, c=condition, z=noise: [torch.randn(n, *c), *(torch.randn(n, width) for width in z)],
    )
    NETWORKS[f"{kind} discriminator"] = (
        lambda made=made: made.discriminator,
        lambda n, c=image, resolution=config.resolution: [torch.randn(n, c, resolution, resolution)],
    )


def tensors(value) -> list[torch.Tensor]:
    return [value] if isinstance(value, torch.Tensor) else [tensor for part in value for tensor in tensors(part)]


def passed(network, inputs, memory_format) -> list[torch.Tensor]:
    """Outputs, then gradients of a sum that weighs every output number otherwise."""
    network = copy.deepcopy(network).to(memory_format=memory_format).eval()
    inputs = [t.contiguous(memory_format=memory_format) if t.ndim == 4 else t for t in inputs]
    outputs = tensors(network(*inputs))
    sum((out * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum() for out in outputs).backward()
    return [*outputs, *(p.grad for p in network.parameters() if p.grad is not None)]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", NETWORKS)
def test_channels_last_changes_nothing(name, count):
    build, inputs_for = NETWORKS[name]
    torch.manual_seed(0)
    network = build()
    network.load_state_dict(tiny.stirred(network))
    inputs = [tensor.double() for tensor in inputs_for(count)]
    plain, fast = (passed(network.double(), inputs, f) for f in (torch.contiguous_format, torch.channels_last))
    assert len(plain) > 1
    for a, b in zip(plain, fast, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-3, atol=1e-6 * max(1.0, a.abs().max().item()))
