"""Trained models: a row of models.yaml, for one task, on a part of its pairs."""

import math
from dataclasses import replace

from piti.cards import EstimatorConfig, GANConfig, TrainCard, TrainingConfig
from piti.config import Model
from piti.plan.core import BASELINES, Artefact, Plan, Unavailable, once
from piti.plan.data import packed, weights_of


@once
def trained(plan: Plan, row: str, task: str, fraction: float, seed: int) -> Artefact:
    """A row of models.yaml, trained for one task on a share of its pairs."""
    model = plan.config.models[row]
    if model.weights:
        return weights_of(plan, model.weights)
    if model.kind.startswith("prior"):  # one for all tasks
        task, fraction, data = "", 1.0, ("web", "caption")
    else:
        data = (plan.config.tasks[task].dataset, plan.config.tasks[task].condition)
    init = _init(plan, row, task, fraction, seed)
    if init and not model.steps:
        return init  # a released model, used as it is
    make = {"estimator": _estimator_card}.get(model.kind, _diffusion_card)
    make = _baseline_card if model.kind in BASELINES else make
    card, inputs = make(plan, model, *data, fraction, seed)
    if init:
        card, inputs = replace(card, init=init.digest), inputs | {"init": [init]}
    if model.perceptual or getattr(getattr(card.gan, model.kind, None), "lambda_vgg", 0):
        name = plan.config.networks.perceptual
        vgg, form = weights_of(plan, name), plan.config.weights[name].format
        card = replace(card, perceptual=vgg.digest, perceptual_format=form)
        inputs = inputs | {"perceptual": [vgg]}
    name = "-".join([row, *([task] if task else []), *([f"{fraction * 100:g}"] if fraction != 1 else [])])
    return plan.add("train", name, card, inputs)


def _diffusion_card(
    plan: Plan, model: Model, dataset: str, condition: str, fraction: float, seed: int
) -> tuple[TrainCard, dict[str, list[Artefact]]]:
    networks, upsampler = plan.config.networks, model.kind.endswith("upsampler")
    images = packed(plan, dataset, "train", "images", shrunk=not upsampler)
    conditions = packed(plan, dataset, "train", condition)
    inputs = {"images": [images], "conditions": [conditions]}
    card = TrainCard(
        training=_training(model),
        seed=seed,
        images=images.digest,
        condition=condition,
        conditions=conditions.digest,
        image_resolution=networks.image_resolution,
        base_resolution=networks.base_resolution,
        unet=networks.upsampler if upsampler else networks.base,
        encoder=None if condition == "caption" else networks.encoder,
        text=networks.text if condition == "caption" else None,
        fraction=fraction,
    )
    return card, inputs


def _estimator_card(
    plan: Plan, model: Model, dataset: str, condition: str, fraction: float, seed: int
) -> tuple[TrainCard, dict[str, list[Artefact]]]:
    networks = plan.config.networks
    images, conditions = (packed(plan, dataset, "train", kind) for kind in ("images", condition))
    card = TrainCard(
        training=_training(model),
        seed=seed,
        images=images.digest,
        condition=condition,
        conditions=conditions.digest,
        image_resolution=networks.image_resolution,
        base_resolution=networks.base_resolution,
        estimator=estimator(plan, dataset, condition),
        fraction=fraction,
    )
    return card, {"images": [images], "conditions": [conditions]}


def estimator(plan: Plan, dataset: str, condition: str) -> EstimatorConfig:
    labels = plan.config.datasets[dataset].num_classes
    return replace(plan.config.networks.estimator, out_channels=labels - 1 if condition == "mask" else 4)


def _baseline_card(
    plan: Plan, model: Model, dataset: str, condition: str, fraction: float, seed: int
) -> tuple[TrainCard, dict[str, list[Artefact]]]:
    networks, entry = plan.config.networks, plan.config.datasets[dataset]
    images, conditions = (
        packed(plan, dataset, "train", kind, networks.load_resolution) for kind in ("images", condition)
    )
    inputs = {"images": [images], "conditions": [conditions]}
    gan, seen = baseline(plan, model, dataset, condition)
    training = _training(model)
    if not training.steps:
        steps = math.ceil(model.epochs[dataset] * int(entry.train * fraction) / model.batch)
        training = replace(training, steps=steps)
    card = TrainCard(
        training=training,
        seed=seed,
        images=images.digest,
        condition=condition,
        conditions=conditions.digest,
        image_resolution=networks.image_resolution,
        base_resolution=networks.base_resolution,
        gan=gan,
        fraction=fraction,
        epochs=0 if model.steps else model.epochs[dataset],
        **seen,
    )
    if dataset in model.instances and condition == "mask":
        instances = packed(plan, dataset, "train", "instances", networks.load_resolution)
        card, inputs["instances"] = replace(card, instances=instances.digest), [instances]
    return card, inputs


def baseline(plan: Plan, model: Model, dataset: str, condition: str) -> tuple[GANConfig, dict]:
    """A baseline's networks for a kind of condition, and how they are given it."""
    networks, entry = plan.config.networks, plan.config.datasets[dataset]
    labels = entry.num_classes if condition == "mask" else 0
    channels = {"mask": labels + (dataset in model.instances), "sketch": 1, "geometry": 6}[condition]
    sized = replace(
        getattr(networks, model.kind),
        condition_channels=channels,
        resolution=networks.image_resolution,
        decay=model.decay.get(dataset, 0.0),
    )
    sketch = model.sketch_input if condition == "sketch" else ""
    return GANConfig(**{model.kind: sized}), {"num_classes": labels, "sketch_input": sketch}


def _init(plan: Plan, row: str, task: str, fraction: float, seed: int) -> Artefact | None:
    model = plan.config.models[row]
    if not model.init:
        return None
    if model.init == "released":
        name = f"released_{task}_{model.kind}"
        if name not in plan.config.weights:
            raise Unavailable(f"no released weights ({name} in weights.yaml)")
        return weights_of(plan, name)
    return trained(plan, model.init, task, fraction, seed)


def _training(model: Model) -> TrainingConfig:
    """The part of a row that is the card's."""
    return TrainingConfig(**{key: getattr(model, key) for key in TrainingConfig.__dataclass_fields__})
