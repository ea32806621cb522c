"""One training step of stage 1: seconds and peak memory. Ours asks for no gradients of the frozen decoder's weights."""

import copy
import multiprocessing
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from bench import straightforward
from bench.measure import Line, agree, precisions, race
from bench.sizes import Sizes
from piti.cards import TrainCard, TrainingConfig
from piti.devices import Place
from piti.diffusion.gaussian import GaussianDiffusion
from piti.diffusion.timesteps import LossSecondMomentSampler
from piti.networks.piti import PITI
from piti.seeds import generator
from piti.train.diffusion import DiffusionObjective
from piti.train.losses import noise_prediction

Step = Callable[[], Tensor]  # trains once; returns the encoder's deepest gradient

AIMS = {"fp32": 1.4, "bf16": 2.5}
TOLERANCES = {"fp32": 1e-3, "bf16": 0.3}  # of one gradient, after all layers forward and back


def seconds(sizes: Sizes, device: torch.device, repeat: int) -> Iterator[Line]:
    """Seconds of a step."""
    start, batch = straightforward.model(sizes.unet, sizes.encoder), inputs(sizes)
    for precision in precisions(device):
        models = [copy.deepcopy(start) for _ in range(2)]
        set_dropout(models, 0.0)  # its draws follow the memory layout, so with it no two layouts agree
        ours = our_step(sizes, precision, models[0], batch, device)
        straight = straightforward_step(sizes, models[1], batch, device)
        name = f"stage1_{precision}"
        difference = agree(name, ours(), straight(), TOLERANCES[precision])
        set_dropout(models, sizes.unet.dropout)
        yield race(name, ours, straight, device, repeat, difference=difference, aim=AIMS[precision])


def memory(sizes: Sizes, device: torch.device, repeat: int) -> Iterator[Line]:
    """Peak memory of two steps in a process of their own."""
    straight = in_a_process(peak, sizes, device, "straightforward")
    for precision in precisions(device):
        yield Line(f"stage1_memory_{precision}", "GB", in_a_process(peak, sizes, device, precision), straight, 1 / 0.75)


def our_step(sizes: Sizes, precision: str, model: PITI, batch: dict[str, Tensor], device: torch.device) -> Step:
    """The objective that trains every stage-1 row."""
    objective = DiffusionObjective(card(sizes, precision), model, Place(device), sizes.stage1_batch)

    def step() -> Tensor:
        objective.update(batch, 0)
        return deepest_gradient(objective.optimizers["model"], model)

    return step


def straightforward_step(sizes: Sizes, model: PITI, batch: dict[str, Tensor], device: torch.device) -> Step:
    """The release's: only the encoder is in the optimizer, but gradients of all weights are computed and kept."""
    model.train().to(device)
    training = card(sizes, "fp32").training
    optimizer = torch.optim.AdamW(model.encoder.parameters(), training.lr, weight_decay=training.weight_decay)
    diffusion = GaussianDiffusion(training.noise_schedule, training.diffusion_steps, device=device)
    timesteps = LossSecondMomentSampler(training.diffusion_steps).to(device)

    def network(x_t: Tensor, told: Tensor, condition: Tensor, low_res: None) -> Tensor:
        return straightforward.forward(model, x_t, told, condition)

    def step() -> Tensor:
        draw = generator(0, "diffusion", 0)  # as our objective draws
        t, weight = timesteps.sample(torch.rand(sizes.stage1_batch, generator=draw).to(device))
        noise = torch.randn(batch["image"].shape, generator=draw).to(device)
        x_0, condition = batch["image"].to(device), batch["condition"].to(device)
        terms, _ = noise_prediction(network, diffusion, x_0, (condition,), t, noise)
        loss = sum(terms.values())
        (loss * weight).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        timesteps.update(t, loss.detach())
        return deepest_gradient(optimizer, model)

    return step


def deepest_gradient(optimizer: torch.optim.Optimizer, model: PITI) -> Tensor:
    """Of the first convolution, which comes through everything else: the first moment is a tenth of it at first."""
    return optimizer.state[model.encoder.cnn.conv1.weight]["exp_avg"]


def inputs(sizes: Sizes) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(0)

    def uniform(channels: int, resolution: int) -> Tensor:
        return torch.rand(sizes.stage1_batch, channels, resolution, resolution, generator=draw) * 2 - 1

    return {
        "image": uniform(3, sizes.base_resolution),
        "condition": uniform(sizes.encoder.in_channels, sizes.encoder.resolution),
    }


def card(sizes: Sizes, precision: str) -> TrainCard:
    """A card as the stage-1 rows have it (facts 1.1)."""
    training = TrainingConfig(
        kind="base",
        trainable="encoder",
        batch=sizes.stage1_batch,
        lr=3.5e-5,
        timestep_sampler="loss_second_moment",
        precision=precision,
    )
    return TrainCard(
        training=training,
        seed=0,
        images="",
        condition="mask",
        conditions="",
        image_resolution=sizes.encoder.resolution,
        base_resolution=sizes.base_resolution,
        unet=sizes.unet,
        encoder=sizes.encoder,
    )


def set_dropout(models: list[PITI], p: float) -> None:
    for model in models:
        for layer in model.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = p


# -- memory ----------------------------------------------------------------------------------------------------------


def in_a_process(function: Callable, *arguments: object) -> float:
    """The function's result from a fresh interpreter."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def peak(sizes: Sizes, device: torch.device, way: str) -> float:
    """Peak memory, GB, of this process after two steps: the first one makes the optimizer's state.

    It is the device's memory where that has its own.
    """
    model, batch = straightforward.model(sizes.unet, sizes.encoder), inputs(sizes)
    if way == "straightforward":
        step = straightforward_step(sizes, model, batch, device)
    else:
        step = our_step(sizes, way, model, batch, device)
    for _ in range(2):
        step()
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    # not getrusage: its ru_maxrss begins with that of the parent process
    return int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024 / 1e9
