"""The batches that each kind of training sees."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from piti.cards import TrainCard
from piti.cards.train import kind_of
from piti.conditions import Stored
from piti.data.loader import Batches, subset
from piti.data.resize import shrink
from piti.data.shards import Shards
from piti.data.synthetic import SyntheticBatches
from piti.devices import Place


class Files(NamedTuple):
    """What a training reads: shards by their index, weights as safetensors."""

    images: Path | None = None  # none where the training draws its scenes
    conditions: Path | None = None
    init: Path | None = None  # weights to start from
    perceptual: Path | None = None  # VGG
    instances: Path | None = None


def training_batches(card: TrainCard, files: Files, here: Place) -> Batches | SyntheticBatches:
    """The card's batches. A base model sees small images, an upsampler whole ones and a small input, a baseline random
    crops."""
    upsampler = kind_of(card.training.kind).upsampler
    shared = {
        "seed": card.seed,
        "batch_size": card.training.batch,
        "condition_dropout": card.training.condition_dropout,
        "low_res": low_res(card) if upsampler else None,
        "rank": here.rank,
        "world": here.world,
    }
    if card.synthetic:
        small = 0 if upsampler else card.base_resolution
        return SyntheticBatches(card.synthetic, resolution=card.image_resolution, shrunk_resolution=small, **shared)
    images, conditions = Shards(files.images, "images"), Shards(files.conditions)
    return Batches(
        images,
        conditions,
        indices=subset(len(images), card.fraction),
        encode=encoding(card, conditions.form),
        flip=conditions.form.mirrors or bool(card.encoder or card.baseline),
        instances=Shards(files.instances, "instances") if files.instances else None,
        crop=card.image_resolution if card.baseline else 0,
        steps_before=card.steps_before,
        **shared,
    )


def encoding(card: TrainCard, condition: Stored) -> Callable[[np.ndarray], np.ndarray]:
    """What a training makes of stored conditions, or of captions; no closure, as below."""
    if card.baseline:
        return functools.partial(condition.for_loader, view=card.view)
    if card.estimator:
        return condition.target
    return functools.partial(condition.encode, void=card.training.void) if card.encoder else condition.encode


def low_res(card: TrainCard) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """What makes the upsampler's small input of an image; no closure, for the loader must be picklable."""
    if not card.training.degradation:
        return functools.partial(shrunk, resolution=card.base_resolution)
    return functools.partial(degraded, resolution=card.base_resolution, share=card.training.degradation_share)


def shrunk(image: np.ndarray, rng: np.random.Generator, resolution: int) -> np.ndarray:
    """An image at the base model's resolution."""
    return shrink(image[None], resolution)[0]


def degraded(image: np.ndarray, rng: np.random.Generator, resolution: int, share: float) -> np.ndarray:
    """The same, of a `share` of the images as poor as those of a base model may be."""
    if share < 1 and rng.random() >= share:
        return shrunk(image, rng, resolution)
    from piti.data.degradation import degrade  # its SciPy takes a second to import

    return degrade(image, len(image) // resolution, rng)
