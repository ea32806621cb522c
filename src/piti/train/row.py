"""One row of models.yaml, from its card and its files to averaged weights."""

import contextlib
import csv
import functools
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file

from piti.baselines import build
from piti.card import dumps
from piti.cards import TrainCard
from piti.data.conditions import CONDITIONS, encoder
from piti.data.conditions.semantics import stored_as
from piti.data.drawing import DrawnBatches
from piti.data.loader import Batches, subset
from piti.data.resize import shrink
from piti.data.shards import Shards
from piti.devices import Place, compiled, place
from piti.diffusion.noise import key_seed
from piti.files import atomic, exclusive, write_failure, write_text
from piti.networks.checkpoint import load, read
from piti.networks.estimator import build as build_estimator
from piti.networks.glide import GLIDE
from piti.networks.perceptual import PerceptualLoss, VGGFeatures
from piti.networks.piti import PITI
from piti.train import estimator
from piti.train.diffusion import DiffusionObjective
from piti.train.gan import GANObjective
from piti.train.loop import Diverged, train
from piti.train.run import Objective, Run

NETWORKS = {"vgg19_torchvision": ("vgg19", "torchvision"), "vgg16_keras_h5": ("vgg16", "caffe")}


class Files(NamedTuple):
    """What a training reads: shards by their index, weights as safetensors."""

    images: Path | None = None  # none where the training draws its scenes
    conditions: Path | None = None
    init: Path | None = None  # weights to start from
    perceptual: Path | None = None  # VGG
    instances: Path | None = None


class Work(NamedTuple):
    """How the work is done, never what comes out but for rounding (piti.config.Machine says what each is).

    gpus: that this job has asked for, of each node (piti.devices.device).
    """

    micro_batch: int
    workers: int
    compile: bool
    log_every: int
    save_every: int
    minutes: float
    gpus: int | None = None
    keep_every: int = 0


def train_row(card: TrainCard, output: Path, files: Files, work: Work) -> dict:
    """Train, and write the averaged weights (safetensors) and the curve (CSV) beside them. Returns its history.

    The resumable state lies in a folder beside the output's own; its name leaves out the number of steps, so that a
    training can be extended, except where the learning rate depends on it.
    """
    training = card.training
    folder = output.parent.with_name(f"state-{card.identity}")
    with place(work.gpus) as here, exclusive(folder) if here.first else contextlib.nullcontext():
        here.wait()  # for the first: only now is the state that of whoever had the folder before
        batches = training_batches(card, files, here)
        run = Run(objective(card, files, work, here), here, folder, card.identity, training.steps, training.ema_rate)
        try:
            train(run, batches, work.workers, work.log_every, work.save_every, work.minutes, work.keep_every)
        except Diverged as reason:
            if here.first:
                write_failure([output.with_name("curve.csv"), output], str(reason))
            return run.made()
        if here.first:
            write_text(output.with_name("curve.csv"), curve(run.curve))
            with atomic(output) as temporary:
                alone = Place(here.device)  # the whole batches, however many processes shared them
                weights = run.exported(training_batches(card, files, alone))
                save_file(weights, temporary, {"card": dumps(card)})
        return run.made()


def objective(card: TrainCard, files: Files, work: Work, here: Place) -> Objective:
    """What the card trains."""
    made = build_objective(card, files, work, here)
    if work.compile:
        compiled(made.model)
        # the upsampler's is small, and its gradient penalty differentiates twice, which compiled code cannot
        if card.gan:
            compiled(made.modules["discriminator"])
    return made


def build_objective(card: TrainCard, files: Files, work: Work, here: Place) -> Objective:
    if card.estimator:
        return estimator.EstimatorObjective(card, initial_estimator(card, files.init), here, work.micro_batch)
    if not card.gan:
        model, loss = initial_model(card, files.init), perceptual_loss(card, files.perceptual)
        return DiffusionObjective(card, model, here, work.micro_batch, loss)
    made = GANObjective(card, build(card.gan), here, work.micro_batch, vgg_features(card, files.perceptual))
    if files.init:
        load(made.model, read(files.init), str(files.init))
    return made


def initial_model(card: TrainCard, init: Path | None) -> torch.nn.Module:
    """The network of the card with the weights it starts from: random by the seed, then what `init` has.

    `init` is a whole PITI model, or a prior, of which the decoder is taken.
    """
    torch.manual_seed(key_seed(card.seed, "init", card.training.kind))
    if card.text:
        return GLIDE(card.unet, card.text)
    model = PITI(card.unet, card.encoder.with_channels(CONDITIONS[card.condition].channels))
    if init:
        state_dict = read(init)
        whole = any(name.startswith("encoder.") for name in state_dict)
        load(model if whole else model.decoder, state_dict, str(init))
    return model


def initial_estimator(card: TrainCard, init: Path | None) -> torch.nn.Module:
    """The estimator of the card: random by the seed, its trunk that of an ImageNet classifier if there is one."""
    torch.manual_seed(key_seed(card.seed, "init", card.training.kind))
    network = build_estimator(card.estimator)
    if init:
        load(network.trunk, read(init), str(init))
    return network


def training_batches(card: TrainCard, files: Files, here: Place) -> Batches | DrawnBatches:
    """The card's batches: the base model sees small pictures, the upsampler whole ones and a small input; a baseline
    sees random crops, and of labels and sketches what is stored; an estimator what it is to read back."""
    if card.drawn:
        return drawn_batches(card, here)
    training, photographs, stored = card.training, Shards(files.images, "images"), Shards(files.conditions)

    encode = stored_as(card.condition, card.sketch_input) if card.gan else None
    if card.encoder:
        encode = encoder(card.condition, training.void)
    if card.estimator:
        encode = estimator.ENCODE[card.condition]
    mirrored = card.estimator and card.condition == "geometry"  # a mirror turns normals, and the stored ones do not
    return Batches(
        photographs,
        stored,
        seed=card.seed,
        batch_size=training.batch,
        indices=subset(len(photographs), card.fraction),
        encode=encode,
        flip=card.condition != "caption" and not mirrored,
        condition_dropout=training.condition_dropout,
        instances=Shards(files.instances, "instances") if files.instances else None,
        crop=card.image_side if card.gan else 0,
        low_res=low_res(card) if training.kind.endswith("upsampler") else None,
        rank=here.rank,
        world=here.world,
    )


def drawn_batches(card: TrainCard, here: Place) -> DrawnBatches:
    """A prior's batches of scenes that are not stored."""
    upsampler = card.training.kind.endswith("upsampler")
    return DrawnBatches(
        card.drawn,
        seed=card.seed,
        batch_size=card.training.batch,
        side=card.image_side,
        shrunk_side=0 if upsampler else card.base_side,
        condition_dropout=card.training.condition_dropout,
        low_res=low_res(card) if upsampler else None,
        rank=here.rank,
        world=here.world,
    )


def low_res(card: TrainCard) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """What makes the upsampler's small input of a photograph; no closure, for the loader must be picklable."""
    return functools.partial(degraded if card.training.degradation else shrunk, side=card.base_side)


def shrunk(image: np.ndarray, rng: np.random.Generator, side: int) -> np.ndarray:
    """A photograph at the base model's side."""
    return shrink(image[None], side)[0]


def degraded(image: np.ndarray, rng: np.random.Generator, side: int) -> np.ndarray:
    """The same, as poor as pictures of a base model may be."""
    from piti.data.degradation import degrade  # its SciPy takes a second to import

    return degrade(image, len(image) // side, rng)


def perceptual_loss(card: TrainCard, weights: Path | None) -> PerceptualLoss | None:
    """The card's perceptual loss, if it has one."""
    if not weights:
        return None
    return PerceptualLoss(read(weights), card.training.perceptual, *NETWORKS[card.perceptual_format])


def vgg_features(card: TrainCard, weights: Path | None) -> VGGFeatures | None:
    """The five feature maps that a baseline's losses compare; torchvision's VGG sees images as they are (facts 3.1)."""
    if not weights:
        return None
    arch, convention = NETWORKS[card.perceptual_format]
    return VGGFeatures(read(weights), arch=arch, convention="raw" if arch == "vgg19" else convention)


def curve(rows: list[dict[str, float]]) -> str:
    """The curve as CSV: step, then every loss term; empty where a term had not begun."""
    terms = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, terms, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: v if k == "step" or math.isnan(v) else f"{v:.8g}" for k, v in row.items()} for row in rows)
    return text.getvalue()
