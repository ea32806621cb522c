"""Train one row of models.yaml; started again, it goes on where it stopped."""

import functools
from pathlib import Path

from piti.cards import TrainCard
from piti.run.command import step
from piti.store.files import InputError


@step(leg="models", makes="weights.safetensors", beside=("curve.csv",))
def run(
    card: TrainCard,
    output: Path,
    images: Path | None = None,
    conditions: Path | None = None,
    init: Path | None = None,
    perceptual: Path | None = None,
    instances: Path | None = None,
    gpus: int | None = None,
    micro_batch: int = 16,
    workers: int = 0,
    compile: int = 0,
    log_every: int = 200,
    save_minutes: float = 20.0,
    keep_every: int = 0,
    minutes: float = 0.0,
    sample_batch: int = 16,
    validation_images: Path | None = None,
    validation_conditions: Path | None = None,
    validation_instances: Path | None = None,
    validation_weights: Path | None = None,
    validation_network: Path | None = None,
) -> dict:
    from piti.train.row import Files, Work, train_row

    if not card.synthetic and None in (images, conditions):
        raise InputError("--images and --conditions: found none, expected the shards that the card names")
    files = Files(images, conditions, init, perceptual, instances)
    work = Work(micro_batch, workers, compile, log_every, save_minutes, minutes, gpus, keep_every)
    validation = None
    if card.validation:
        from piti.sample.validation import Files as Looked
        from piti.sample.validation import Validation

        if None in (validation_images, validation_conditions, validation_weights):
            raise InputError("--validation-images, -conditions and -weights: found none, expected what the card names")
        looked = Looked(
            validation_images, validation_conditions, validation_weights, validation_network, validation_instances
        )
        validation = functools.partial(Validation, card, looked, sample_batch)
    return train_row(card, output, files, work, validation)
