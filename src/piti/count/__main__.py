"""Count the work of all that the presets train and sample. `python -m piti.count` writes plan/flops.json.

A training is counted by running one step of its real objective on torch's meta device, where tensors have shapes and no
values: whatever the loop does is counted, and nothing that it does not do. Twice, for two numbers of images, so that
what each image takes is known apart from what every step takes; and in both precisions.
"""

import argparse
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from json import dumps
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import torchvision

from piti.baselines import build
from piti.cards import Card, GenerateCard, SampleCard, SketchCard, TrainCard
from piti.cards.base import digest
from piti.cards.train import kind_of
from piti.conditions import CONDITIONS
from piti.config import load
from piti.count.kernels import Autocast, Kernel, traced, work
from piti.devices import Place
from piti.networks.estimator import build as build_estimator
from piti.networks.glide import GLIDE
from piti.networks.hed import HED
from piti.networks.perceptual import VGGFeatures
from piti.networks.piti import PITI
from piti.plan import Plan, resolve
from piti.plan.cost import release_card, sized
from piti.plan.models import trained
from piti.progress import progress
from piti.store.files import write_text
from piti.train.diffusion import DiffusionObjective
from piti.train.estimator import EstimatorObjective
from piti.train.gan import GANObjective
from piti.train.initial import NETWORKS
from piti.train.losses import PERCEPTUAL
from piti.train.run import Objective

CONFIG = Path(__file__).parents[3] / "config"
FILE = Path(__file__).parents[1] / "plan" / "flops.json"
META = torch.device("meta")
BATCH = 2


def main() -> None:
    argparse.ArgumentParser(prog="python -m piti.count", description=__doc__.split("\n")[0]).parse_args()
    wanted = {}
    for preset in sorted(path.stem for path in (CONFIG / "presets").glob("*.yaml")):
        wanted |= cards(preset)
    entries = {key: {"name": name} | count(card) for key, (name, card) in progress(sorted(wanted.items()), "counting")}
    write_text(FILE, "{\n" + ",\n".join(f"{dumps(key)}: {dumps(entry)}" for key, entry in entries.items()) + "\n}\n")


def cards(preset: str) -> dict[str, tuple[str, Card]]:
    """What a preset's plan needs counted: digest -> what a person calls it, and the card."""
    plan = planned(preset)
    for row in ("prior_base", "prior_upsampler"):  # the target `prior`
        trained(plan, row, "", 1.0, 0)
    found = {}
    for artefact in plan.artefacts.values():
        for card in (artefact.card, release_card(artefact.card)):
            if (size := sized(card)) is not None:
                found.setdefault(digest(size), (f"{preset}: {artefact.step} {artefact.name}", card))
    return found


def planned(preset: str) -> Plan:
    """All of it: a data set without a source would hide its column, and any path shows it."""
    data = load({"preset": preset}, CONFIG).datasets
    paths = {name: {"path": f"/data/{name}"} for name, each in data.items() if not (each.scenes or each.archives)}
    return resolve(load({"preset": preset, "datasets": paths}, CONFIG))[0]


def count(card: Card) -> dict:
    """The work of it by precision (see piti.count.kernels.work; of sampling also "encode"), and of a training
    the numbers in the exported weights, in its optimizers' parameters and in its EMA."""
    if isinstance(card, TrainCard):
        return in_both(lambda precision, images: train_step(card, precision, images)) | tensors(card)
    if isinstance(card, SampleCard):
        encode = in_both(lambda precision, images: sampling(card, precision, images)[0])
        return in_both(lambda precision, images: sampling(card, precision, images)[1]) | {"encode": encode}
    run = drawing if isinstance(card, SketchCard) else generating
    return {"fp32": work(run(card, BATCH), run(card, 2 * BATCH), BATCH)}


def in_both(kernels: Callable[[str, int], list[Kernel]]) -> dict[str, dict]:
    """Precision -> the work of what `kernels(precision, images)` runs."""
    return {how: work(kernels(how, BATCH), kernels(how, 2 * BATCH), BATCH) for how in ("fp32", "bf16")}


def train_step(card: TrainCard, precision: str, images: int) -> list[Kernel]:
    """One whole step of the card's objective, far enough into the training that every loss has begun."""
    with meta():
        card = replace(card, training=replace(card.training, batch=images, precision=precision))
        made = objective(card)
        for optimizer in made.optimizers.values():
            optimizer.step = lambda: None  # fused, it knows no such device; the plan adds what it moves
        seen = batch(card)
        with traced() as kernels:
            made.update(seen, card.training.image_losses_from)
    return kernels


def tensors(card: TrainCard) -> dict[str, int]:
    """How many numbers a training exports, optimizes and averages (EMA)."""
    with meta():
        made = objective(card)
        return {
            "weights": sum(tensor.numel() for tensor in made.model.state_dict().values()),
            "optimized": sum(p.numel() for o in made.optimizers.values() for g in o.param_groups for p in g["params"]),
            "ema": sum(p.numel() for p in made.model.parameters() if p.requires_grad),
        }


def objective(card: TrainCard) -> Objective:
    make = gan_objective if card.baseline else estimator_objective if card.estimator else diffusion_objective
    return make(card)


def batch(card: TrainCard) -> dict[str, torch.Tensor]:
    """What the loader gives, without values."""
    upsampler, images = kind_of(card.training.kind).upsampler, card.training.batch
    resolution = card.image_resolution if upsampler or card.baseline or card.estimator else card.base_resolution
    made = {"image": torch.empty(images, 3, resolution, resolution)} | condition(card)
    if upsampler:
        made["low_res"] = torch.empty(images, 3, card.base_resolution, card.base_resolution)
    return made


def condition(card: TrainCard) -> dict[str, torch.Tensor]:
    """What the loader gives besides the photograph."""
    images = card.training.batch
    if card.text:
        return {"condition": torch.empty(images, card.text.context, dtype=torch.int64)}
    if card.estimator:
        seen = CONDITIONS[card.condition]
        target = torch.from_numpy(seen.target(np.zeros((1, *seen.shape(card.image_resolution)), np.uint8)))
        return {"condition": torch.empty(images, *target.shape[1:], dtype=target.dtype)}
    if not card.baseline:
        return {"condition": torch.empty(images, 3, card.encoder.resolution, card.encoder.resolution)}
    resolution, channels = card.image_resolution, card.baseline.condition_channels
    if not card.num_classes:
        return {"condition": torch.empty(images, channels, resolution, resolution)}
    seen = CONDITIONS[card.condition].baseline_channels(card.num_classes, False, card.baseline.classes)
    labels = {"condition": torch.empty(images, resolution, resolution, dtype=torch.uint8)}
    return labels | ({"instances": labels["condition"].clone()} if channels > seen else {})


def diffusion_objective(card: TrainCard) -> DiffusionObjective:
    model = GLIDE(card.unet, card.text) if card.text else PITI(card.unet, card.encoder)
    features = None
    if card.training.perceptual:
        layers, _ = PERCEPTUAL[card.training.perceptual]
        features = VGGFeatures(vgg(card), layers, *NETWORKS[card.perceptual_format])
    return DiffusionObjective(card, model, Place(META), card.training.batch, features)


def gan_objective(card: TrainCard) -> GANObjective:
    features = None
    if card.perceptual:
        features = VGGFeatures(vgg(card), arch=NETWORKS[card.perceptual_format][0], convention="raw")
    return GANObjective(card, build(card.baseline), Place(META), card.training.batch, features)


def estimator_objective(card: TrainCard) -> EstimatorObjective:
    return EstimatorObjective(card, build_estimator(card.estimator), Place(META), card.training.batch)


def vgg(card: TrainCard) -> dict[str, torch.Tensor]:
    return getattr(torchvision.models, NETWORKS[card.perceptual_format][0])().state_dict()


def sampling(card: SampleCard, precision: str, images: int) -> tuple[list[Kernel], list[Kernel]]:
    """Encoding a condition, and one pass of the decoder."""
    with meta(), torch.inference_mode():
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        model = PITI(card.unet, card.encoder).requires_grad_(False).to(dtype)
        seen = torch.empty(images, card.encoder.in_channels, card.encoder.resolution, card.encoder.resolution)
        low_res = torch.empty(images, 3, card.resolution // 4, card.resolution // 4) if card.low_res else None
        x, t = torch.empty(images, 3, card.resolution, card.resolution), torch.empty(images)
        with traced() as encode:
            encoded = model.encode(seen)
        with traced() as denoise:
            model.denoise(x, t, encoded, low_res)
    return encode, denoise


def drawing(card: SketchCard, images: int) -> list[Kernel]:
    """Edges of photographs."""
    with meta(), torch.inference_mode():
        network, seen = HED(), torch.empty(images, 3, card.hed_resolution, card.hed_resolution)
        with traced() as kernels:
            network(seen)
    return kernels


def generating(card: GenerateCard, images: int) -> list[Kernel]:
    """Pictures of a baseline's generator."""
    with meta():
        baseline = build(card.baseline).requires_grad_(False)
        seen = torch.empty(images, card.baseline.condition_channels, card.resolution, card.resolution)
        drawn = {k: v.to(META) for k, v in baseline.draw(torch.Generator(), images).items()}
        with traced() as kernels:
            baseline.generate(seen, drawn)
    return kernels


@contextlib.contextmanager
def meta() -> Iterator[None]:
    """Tensors made in this block are on the meta device. Autocast is ours: torch's does not know that device."""
    with META, mock.patch.object(torch, "autocast", Autocast):
        yield


if __name__ == "__main__":
    main()
