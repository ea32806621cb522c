"""Trained models: a row of models.yaml, for one task, on a fraction of its pairs."""

import math
from dataclasses import replace

from piti.cards import BaselineConfig, EstimatorConfig, SyntheticConfig, TrainCard, TrainingConfig, ValidationConfig
from piti.cards.train import kind_of
from piti.conditions import CONDITIONS
from piti.config import Dataset, Model
from piti.datasets.classes import CLASSES
from piti.datasets.layouts import LAYOUTS
from piti.plan.core import Artefact, Plan, Unavailable, once
from piti.plan.data import packed, weights_of
from piti.store.files import InputError


@once
def trained(plan: Plan, row: str, task: str, fraction: float, seed: int) -> Artefact:
    """A row of models.yaml, trained for one task on a fraction of its pairs."""
    model = plan.config.models[row]
    kind = kind_of(model.kind)
    if plan.config.fractions and fraction not in plan.config.fractions and kind.objective != "estimator":
        raise Unavailable(plan.config.left_out)
    if model.weights:
        return weights_of(plan, model.weights)
    if kind.prior:
        task, fraction, data = "", 1.0, (model.dataset, "caption")
    else:
        data = (plan.config.tasks[task].dataset, plan.config.tasks[task].condition)
    if model.converge_from and not plan.config.datasets[data[0]].validation:
        model = replace(model, converge_from=0)  # nothing to look at: it makes all its steps
    init = _init(plan, row, task, fraction, seed)
    if init and not model.steps:
        return init  # a released model, used as it is
    own, inputs = OWN[kind.objective](plan, model, *data, fraction)
    if init:
        inputs["init"] = init
        if isinstance(init.card, TrainCard) and not kind_of(init.card.training.kind).prior:
            own["steps_before"] = init.card.steps_before + init.card.training.steps
    if model.converge_from:
        own["validation"], looked_at = _validation(plan, model, task)
        inputs |= looked_at
    if model.perceptual or ("baseline" in own and own["baseline"].uses_vgg):
        inputs["perceptual"] = weights_of(plan, plan.config.networks.perceptual)
        own["perceptual_format"] = plan.config.weights[plan.config.networks.perceptual].format
    shared = {
        "training": _training(model),
        "seed": seed,
        "condition": data[1],
        "image_resolution": plan.config.networks.image_resolution,
        "base_resolution": plan.config.networks.base_resolution,
        "fraction": fraction,
        "images": "",
        "conditions": "",
    }
    named = {key: made.digest for key, made in inputs.items() if key in TrainCard.__dataclass_fields__}
    card = TrainCard(**shared | named | own)
    name = "-".join([row, *([task] if task else []), *([f"{fraction * 100:g}"] if fraction != 1 else [])])
    return plan.add("train", name, card, {key: [made] for key, made in inputs.items()})


# What a kind of model has of its own: fields of its card, and what it is trained on by their names.
Own = tuple[dict, dict[str, Artefact]]


def _diffusion(plan: Plan, model: Model, dataset: str, condition: str, fraction: float) -> Own:
    networks, upsampler = plan.config.networks, kind_of(model.kind).upsampler
    own = {
        "unet": networks.upsampler if upsampler else networks.base,
        "encoder": None if condition == "caption" else networks.encoder,
        "text": networks.text if condition == "caption" else None,
    }
    scenes = plan.config.datasets[dataset].scenes
    if condition == "caption" and scenes and not scenes.stored:
        synthetic = SyntheticConfig(seed=scenes.seed, resolution=scenes.resolution, style=scenes.style)
        return own | {"synthetic": synthetic}, {}
    images = packed(plan, dataset, "train", "images", shrunk=not upsampler)
    return own, {"images": images, "conditions": packed(plan, dataset, "train", condition)}


def _estimator(plan: Plan, model: Model, dataset: str, condition: str, fraction: float) -> Own:
    inputs = {
        "images": packed(plan, dataset, "train", "images"),
        "conditions": packed(plan, dataset, "train", condition),
    }
    return {"estimator": estimator(plan, dataset, condition)}, inputs


def estimator(plan: Plan, dataset: str, condition: str) -> EstimatorConfig:
    labels = plan.config.datasets[dataset].num_classes
    return replace(plan.config.networks.estimator, out_channels=CONDITIONS[condition].estimator_channels(labels))


def _baseline(plan: Plan, model: Model, dataset: str, condition: str, fraction: float) -> Own:
    kinds = {"images": "images", "conditions": condition}
    if dataset in model.instances and CONDITIONS[condition].labels:
        kinds["instances"] = "instances"
    size = plan.config.networks.load_resolution
    inputs = {key: packed(plan, dataset, "train", kind, size) for key, kind in kinds.items()}
    network, seen = baseline(plan, model, dataset, condition)
    own = {"baseline": network, **seen}
    if not model.steps:
        own["epochs"] = by_dataset(model.epochs, dataset)
        images = own["epochs"] * int(plan.config.datasets[dataset].train * fraction)
        own["training"] = replace(_training(model), steps=math.ceil(images / model.batch))
    return own, inputs


def baseline(plan: Plan, model: Model, dataset: str, condition: str) -> tuple[BaselineConfig, dict]:
    """A baseline's networks for a kind of condition, and how they are given it."""
    networks, entry = plan.config.networks, plan.config.datasets[dataset]
    seen = CONDITIONS[condition]
    labels = entry.num_classes if seen.labels else 0
    classes = drawn_classes(entry) if seen.labels and entry.scenes and not entry.path else ()
    instances = dataset in model.instances and seen.labels
    try:
        sized = replace(
            networks.baselines[model.kind],
            condition_channels=seen.baseline_channels(labels, instances, classes),
            classes=classes,
            resolution=networks.image_resolution,
            decay=by_dataset(model.decay, dataset),
        )
    except ValueError as error:
        raise InputError(f"networks.baselines.{model.kind}: {error}") from None
    view = model.views.get(condition, seen.views[0])
    return sized, {"num_classes": labels, "view": view}


def drawn_classes(dataset: Dataset) -> tuple[int, ...]:
    """The stored labels, void aside, that can occur in a drawn data set: few of those of the real one."""
    layout = LAYOUTS[dataset.layout]
    return tuple(sorted({getattr(each, layout.label_ids) + layout.label_shift for each in CLASSES}))


def by_dataset(values: dict[str, float], dataset: str) -> float:
    """The value of a data set, else that of the key `default`, else 0."""
    return values.get(dataset, values.get("default", 0.0))


OWN = {"diffusion": _diffusion, "estimator": _estimator, "baseline": _baseline}


def _validation(plan: Plan, model: Model, task: str) -> tuple[ValidationConfig, dict[str, Artefact]]:
    """What a training is looked at with: the test half of the data set that its own names for this."""
    config, condition = plan.config, plan.config.tasks[task].condition
    dataset = config.datasets[config.tasks[task].dataset].validation
    diffusion = kind_of(model.kind).objective == "diffusion"
    extractor = next(iter(config.extractors.values()))  # that of the tables' first column
    inputs = {
        "validation_images": packed(plan, dataset, "test", "images", shrunk=diffusion),
        "validation_conditions": packed(plan, dataset, "test", condition),
        "validation_weights": weights_of(plan, extractor),
    }
    if dataset in model.instances and CONDITIONS[condition].labels:
        inputs["validation_instances"] = packed(plan, dataset, "test", "instances")
    own = {"extractor": extractor, "sampling": config.sampling if diffusion else None}
    if row := config.estimators.get(condition):
        inputs["validation_network"] = trained(plan, row, task, 1.0, 0)
        own["estimator"] = estimator(plan, config.tasks[task].dataset, condition)
    return ValidationConfig(**own | {key.removeprefix("validation_"): a.digest for key, a in inputs.items()}), inputs


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
