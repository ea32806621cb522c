"""One row of models.yaml, from its card and its files to averaged weights."""

import csv
import io
import math
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from piti.card import digest, dumps
from piti.cards import TrainCard
from piti.data.conditions import CONDITIONS
from piti.data.degradation import degrade
from piti.data.loader import Batches, subset
from piti.data.resize import shrink
from piti.data.shards import Shards
from piti.diffusion.noise import key_seed
from piti.files import atomic, write_failure, write_text
from piti.networks.checkpoint import load, strip_text
from piti.networks.glide import GLIDE
from piti.networks.perceptual import PerceptualLoss
from piti.networks.piti import PITI
from piti.train.devices import place
from piti.train.diffusion import DiffusionObjective
from piti.train.loop import Diverged, train
from piti.train.run import Run
from piti.train.state import exclusive

NETWORKS = {"vgg19_torchvision": ("vgg19", "torchvision"), "vgg16_keras_h5": ("vgg16", "caffe")}


def train_row(
    card: TrainCard,
    output: Path,
    images: Path,
    conditions: Path,
    init: Path | None,
    perceptual: Path | None,
    *,
    micro_batch: int,
    workers: int,
    compile: bool,
    log_every: int,
    save_every: int,
    minutes: int,
) -> dict:
    """Train, and write the averaged weights (safetensors) and the curve (CSV) beside them. Returns its history.

    The resumable state lies in a folder beside the output's own; its name leaves out the number of steps.
    """
    training = card.training
    identity = digest(replace(card, training=replace(training, steps=0)))
    folder = output.parent.with_name(f"state-{identity}")
    with place() as here, exclusive(folder):
        objective = DiffusionObjective(
            card, initial_model(card, init), here, micro_batch, compile, perceptual_loss(card, perceptual)
        )
        run = Run(objective, here, folder, identity, training.steps, training.ema_rate)
        batches = training_batches(card, Shards(images, "images"), Shards(conditions), here.rank, here.world)
        try:
            train(run, batches, workers, log_every, save_every, minutes)
        except Diverged as reason:
            write_failure([output.with_name("curve.csv"), output], str(reason))
            return {"history": run.history()}
        if here.first:
            write_text(output.with_name("curve.csv"), curve(run.curve))
            with atomic(output) as temporary:
                save_file(exported(run), temporary, {"card": dumps(card), "step": str(run.step)})
        return {"history": run.history()}


def initial_model(card: TrainCard, init: Path | None) -> torch.nn.Module:
    """The network of the card with the weights it starts from: random by the seed, then what `init` has.

    `init` is a whole PITI model, or a prior, of which the decoder is taken.
    """
    torch.manual_seed(key_seed(card.seed, "init", card.training.kind))
    if card.text:
        return GLIDE(card.unet, card.text)
    model = PITI(card.unet, card.encoder.with_channels(CONDITIONS[card.condition].channels))
    if init:
        state_dict = load_file(init)
        whole = any(name.startswith("encoder.") for name in state_dict)
        load(model if whole else model.decoder, state_dict, str(init))
    return model


def exported(run: Run) -> dict[str, torch.Tensor]:
    """The averaged weights as others use them: a model whole, of a prior only the decoder."""
    weights = run.exported()
    return strip_text(weights, "prior") if isinstance(run.objective.model, GLIDE) else weights


def training_batches(card: TrainCard, images: Shards, conditions: Shards, rank: int, world: int) -> Batches:
    """The card's batches: the base model sees small pictures, the upsampler whole ones and a small input."""
    training = card.training
    factor = card.image_side // card.base_side

    def small(image, rng):
        return degrade(image, factor, rng) if training.degradation else shrink(image[None], card.base_side)[0]

    return Batches(
        images,
        conditions,
        seed=card.seed,
        batch_size=training.batch,
        indices=subset(len(images), card.fraction),
        flip=card.condition != "caption",
        condition_dropout=training.condition_dropout,
        low_res=small if training.kind.endswith("upsampler") else None,
        rank=rank,
        world=world,
    )


def perceptual_loss(card: TrainCard, weights: Path | None) -> PerceptualLoss | None:
    """The card's perceptual loss, if it has one."""
    if not weights:
        return None
    return PerceptualLoss(load_file(weights), card.training.perceptual, *NETWORKS[card.perceptual_format])


def curve(rows: list[dict[str, float]]) -> str:
    """The curve as CSV: step, then every loss term; empty where a term had not begun."""
    terms = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, terms, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: v if k == "step" or math.isnan(v) else f"{v:.8g}" for k, v in row.items()} for row in rows)
    return text.getvalue()
