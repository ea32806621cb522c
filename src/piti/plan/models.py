"""Trained models: a row of models.yaml, for one task, on a fraction of its pairs."""

import math
from dataclasses import replace

from piti.cards import BaselineConfig, EstimatorConfig, SyntheticConfig, TrainCard, TrainingConfig
from piti.cards.train import kind_of
from piti.conditions import CONDITIONS
from piti.config import Model
from piti.plan.core import Artefact, Plan, Unavailable, once
from piti.plan.data import packed, weights_of


@once
def trained(plan: Plan, row: str, task: str, fraction: float, seed: int) -> Artefact:
    """A row of models.yaml, trained for one task on a fraction of its pairs."""
    model = plan.config.models[row]
    kind = kind_of(model.kind)
    if model.weights:
        return weights_of(plan, model.weights)
    if kind.prior:
        task, fraction, data = "", 1.0, (model.dataset, "caption")
    else:
        data = (plan.config.tasks[task].dataset, plan.config.tasks[task].condition)
    init = _init(plan, row, task, fraction, seed)
    if init and not model.steps:
        return init  # a released model, used as it is
    card, inputs = CARDS[kind.objective](plan, model, *data, fraction, seed)
    if init:
        card, inputs = replace(card, init=init.digest), inputs | {"init": [init]}
    if model.perceptual or (card.baseline and card.baseline.uses_vgg):
        name = plan.config.networks.perceptual
        vgg, form = weights_of(plan, name), plan.config.weights[name].format
        card = replace(card, perceptual=vgg.digest, perceptual_format=form)
        inputs = inputs | {"perceptual": [vgg]}
    name = "-".join([row, *([task] if task else []), *([f"{fraction * 100:g}"] if fraction != 1 else [])])
    return plan.add("train", name, card, inputs)


def _diffusion_card(
    plan: Plan, model: Model, dataset: str, condition: str, fraction: float, seed: int
) -> tuple[TrainCard, dict[str, list[Artefact]]]:
    networks, upsampler = plan.config.networks, kind_of(model.kind).upsampler
    scenes, inputs = plan.config.datasets[dataset].scenes, {}
    if condition == "caption" and scenes and not scenes.stored:
        synthetic = SyntheticConfig(seed=scenes.seed, resolution=scenes.resolution, style=scenes.style)
        data = {"images": "", "conditions": "", "synthetic": synthetic}
    else:
        images = packed(plan, dataset, "train", "images", shrunk=not upsampler)
        conditions = packed(plan, dataset, "train", condition)
        inputs = {"images": [images], "conditions": [conditions]}
        data = {"images": images.digest, "conditions": conditions.digest}
    card = TrainCard(
        training=_training(model),
        seed=seed,
        condition=condition,
        **data,
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
    return replace(plan.config.networks.estimator, out_channels=CONDITIONS[condition].estimator_channels(labels))


def _baseline_card(
    plan: Plan, model: Model, dataset: str, condition: str, fraction: float, seed: int
) -> tuple[TrainCard, dict[str, list[Artefact]]]:
    networks, entry = plan.config.networks, plan.config.datasets[dataset]
    images, conditions = (
        packed(plan, dataset, "train", kind, networks.load_resolution) for kind in ("images", condition)
    )
    inputs = {"images": [images], "conditions": [conditions]}
    network, seen = baseline(plan, model, dataset, condition)
    training, epochs = _training(model), 0
    if not training.steps:
        epochs = by_dataset(model.epochs, dataset)
        training = replace(training, steps=math.ceil(epochs * int(entry.train * fraction) / model.batch))
    card = TrainCard(
        training=training,
        seed=seed,
        images=images.digest,
        condition=condition,
        conditions=conditions.digest,
        image_resolution=networks.image_resolution,
        base_resolution=networks.base_resolution,
        baseline=network,
        fraction=fraction,
        epochs=epochs,
        **seen,
    )
    if dataset in model.instances and CONDITIONS[condition].labels:
        instances = packed(plan, dataset, "train", "instances", networks.load_resolution)
        card, inputs["instances"] = replace(card, instances=instances.digest), [instances]
    return card, inputs


def baseline(plan: Plan, model: Model, dataset: str, condition: str) -> tuple[BaselineConfig, dict]:
    """A baseline's networks for a kind of condition, and how they are given it."""
    networks, entry = plan.config.networks, plan.config.datasets[dataset]
    seen = CONDITIONS[condition]
    labels = entry.num_classes if seen.labels else 0
    instances = dataset in model.instances and seen.labels
    sized = replace(
        networks.baselines[model.kind],
        condition_channels=seen.baseline_channels(labels, instances),
        resolution=networks.image_resolution,
        decay=by_dataset(model.decay, dataset),
    )
    view = model.views.get(condition, seen.views[0])
    return sized, {"num_classes": labels, "view": view}


def by_dataset(values: dict[str, float], dataset: str) -> float:
    """The value of a data set, else that of the key `default`, else 0."""
    return values.get(dataset, values.get("default", 0.0))


CARDS = {"diffusion": _diffusion_card, "estimator": _estimator_card, "baseline": _baseline_card}


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
