"""One guided denoising step of one image, and how much of the machine the U-Net uses."""

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench import straightforward
from bench.measure import Line, alternate, compare, precisions, spread
from bench.sizes import Sizes
from piti.devices import autocast
from piti.diffusion.guidance import guided
from piti.networks.piti import PITI

AIMS = {"fp32": 1.2, "bf16": 2.0}
TOLERANCES = {"fp32": 1e-3, "bf16": 0.05}


@torch.inference_mode()
def denoise(sizes: Sizes, device: torch.device, repeat: int) -> Iterator[Line]:
    """Seconds of a guided step. Ours knows keys and values of the condition and of the null condition beforehand."""
    plain, ours = models(sizes, device)
    x, timesteps, conditions = inputs(sizes, device)

    def straight(x: Tensor, timesteps: Tensor) -> Tensor:
        return straightforward.forward(plain, x, timesteps, conditions)

    for precision in precisions(device):
        with autocast(device, precision):
            encoded = ours.encode(conditions)

            def fast(x: Tensor, timesteps: Tensor, encoded=encoded) -> Tensor:
                return ours.denoise(x, timesteps, encoded)

            yield compare(
                f"denoise_{precision}",
                autocasting(guided(fast, 0.3, "sample"), x, timesteps, device, precision),
                autocasting(guided(straight, 0.3, "sample"), x, timesteps, device, "fp32"),
                device,
                repeat,
                tolerance=TOLERANCES[precision],
                aim=AIMS[precision],
            )


@torch.inference_mode()
def rate(sizes: Sizes, device: torch.device, repeat: int) -> Iterator[Line]:
    """GFLOP/s of the U-Net's forward pass; beside it a matrix product's, then that of its own convolutions alone."""
    _, model = models(sizes, device)
    x, timesteps, conditions = inputs(sizes, device)
    x, timesteps = torch.cat([x, x]), torch.cat([timesteps, timesteps])
    calls = convolutions(model, x, timesteps, conditions)
    square = torch.randn(sizes.matmul, sizes.matmul, device=device)
    for precision in precisions(device):
        with autocast(device, precision):
            encoded = model.encode(conditions)
        ways = {
            "forward": lambda encoded=encoded: model.denoise(x, timesteps, encoded),
            "matmul": lambda: square @ square,
            "convolutions": lambda: [layer(features) for layer, features in calls],
        }
        with autocast(device, precision):
            work = {name: flops(way) for name, way in ways.items()}  # which warms them up
            times = dict(zip(ways, alternate(list(ways.values()), device, repeat), strict=True))
        rates = {name: work[name] / min(times[name]) / 1e9 for name in ways}
        for other in ("matmul", "convolutions"):
            among = spread([times["forward"], times[other]])
            yield Line(f"unet_{precision}_of_{other}", "GFLOP/s", rates["forward"], rates[other], 0.8, among)


def models(sizes: Sizes, device: torch.device) -> tuple[PITI, PITI]:
    """The same weights twice: as they come, and in the sampler's memory layout."""
    plain = straightforward.model(sizes.unet, sizes.encoder).requires_grad_(False).eval().to(device)
    return plain, copy.deepcopy(plain).to(memory_format=torch.channels_last)


def inputs(sizes: Sizes, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """A noisy image, its timestep, and a batch of two: a condition and the null condition."""
    draw = torch.Generator().manual_seed(0)
    condition = (
        torch.rand(1, sizes.encoder.in_channels, sizes.encoder.resolution, sizes.encoder.resolution, generator=draw) * 2
        - 1
    )
    x = torch.randn(1, 3, sizes.base_resolution, sizes.base_resolution, generator=draw)
    conditions = torch.cat([condition, torch.ones_like(condition)])
    return x.to(device), torch.tensor([500.0], device=device), conditions.to(device)


def autocasting(denoiser: Callable, x: Tensor, timesteps: Tensor, device: torch.device, precision: str) -> Callable:
    """One call of the denoiser in the given precision, whatever precision surrounds it."""

    def step() -> Tensor:
        with autocast(device, precision):
            return denoiser(x, timesteps)

    return step


def convolutions(model: PITI, x: Tensor, timesteps: Tensor, conditions: Tensor) -> list[tuple[nn.Conv2d, Tensor]]:
    """Every 2-d convolution of one forward pass with its input, in order."""
    calls, hooks = [], []
    for layer in model.decoder.modules():
        if isinstance(layer, nn.Conv2d):
            hooks.append(layer.register_forward_pre_hook(lambda layer, inputs: calls.append((layer, inputs[0]))))
    model.denoise(x, timesteps, model.encode(conditions))
    for hook in hooks:
        hook.remove()
    return calls


def flops(way: Callable[[], object]) -> int:
    """Floating-point operations of one call; a multiplication and an addition are two.

    Attention is computed as matrix products here: torch does not count its fused kernel on a CPU.
    """
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        way()
    return counter.get_total_flops()
