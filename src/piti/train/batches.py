"""The batches that each kind of training sees."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from piti.cards import TrainCard
from piti.conditions import encoder
from piti.conditions.semantics import stored_as
from piti.data.loader import Batches, subset
from piti.data.resize import shrink
from piti.data.shards import Shards
from piti.devices import Place
from piti.train import estimator


class Files(NamedTuple):
    """What a training reads: shards by their index, weights as safetensors."""

    images: Path
    conditions: Path
    init: Path | None = None  # weights to start from
    perceptual: Path | None = None  # VGG
    instances: Path | None = None


def training_batches(card: TrainCard, files: Files, here: Place) -> Batches:
    """The card's batches. A base model sees small images, an upsampler whole ones and a small input, a baseline random
    crops."""
    training, images = card.training, Shards(files.images, "images")
    mirrored = card.estimator and card.condition == "geometry"  # a mirror turns normals, and the stored ones do not
    return Batches(
        images,
        Shards(files.conditions),
        seed=card.seed,
        batch_size=training.batch,
        indices=subset(len(images), card.fraction),
        encode=encoding(card),
        flip=card.condition != "caption" and not mirrored,
        condition_dropout=training.condition_dropout,
        instances=Shards(files.instances, "instances") if files.instances else None,
        crop=card.image_resolution if card.gan else 0,
        low_res=low_res(card) if training.kind.endswith("upsampler") else None,
        rank=here.rank,
        world=here.world,
    )


def encoding(card: TrainCard) -> Callable[[np.ndarray], np.ndarray] | None:
    """What a training makes of stored conditions: a baseline keeps labels and edges as they are, an estimator predicts
    what is stored; captions are not encoded."""
    if card.gan:
        return stored_as(card.condition, card.sketch_input)
    if card.estimator:
        return estimator.ENCODE[card.condition]
    return encoder(card.condition, card.training.void) if card.encoder else None


def low_res(card: TrainCard) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """What makes the upsampler's small input of an image; no closure, for the loader must be picklable."""
    return functools.partial(degraded if card.training.degradation else shrunk, resolution=card.base_resolution)


def shrunk(image: np.ndarray, rng: np.random.Generator, resolution: int) -> np.ndarray:
    """An image at the base model's resolution."""
    return shrink(image[None], resolution)[0]


def degraded(image: np.ndarray, rng: np.random.Generator, resolution: int) -> np.ndarray:
    """The same, as poor as images of a base model may be."""
    from piti.data.degradation import degrade  # its SciPy takes a second to import

    return degrade(image, len(image) // resolution, rng)
