"""What a model consists of when it is used: its stages, as a plan names them or as weights carry them. No torch."""

import json
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open

from piti.cards import GenerateCard, SampleCard, SamplingConfig, TrainCard
from piti.cards.base import from_dict
from piti.store.files import InputError

PUBLISHED = "for the authors' set their path in config/weights.yaml and use --method released"


class Stage(NamedTuple):
    """A model and how it is sampled. The first makes pictures, a second enlarges them."""

    card: SampleCard | GenerateCard
    weights: Path


class Labels(NamedTuple):
    """Whose label ids a mask of one channel holds."""

    layout: str  # a key of piti.datasets.layouts.LAYOUTS: how ids are numbered in the data set's own files
    num_classes: int  # void among them


def stages_of(model: Path, upsampler: Path | None, sampling: SamplingConfig) -> tuple[list[Stage], str]:
    """The stages of weights that carry the card of their training, and the kind of condition that they take.

    Either is a file, or the folder of a trained model. Weights do not say how they are sampled: `sampling` does.
    """
    model, upsampler = (path / "weights.safetensors" if path and path.is_dir() else path for path in (model, upsampler))
    card = read_card(model)
    if card.baseline:
        if upsampler:
            raise InputError(f"{upsampler}: found an upsampler beside a baseline, expected none")
        said = {key: getattr(card, key) for key in ("seed", "baseline", "num_classes", "view", "instances")}
        stage = GenerateCard(model="", conditions="", resolution=card.image_resolution, **said)
        return [Stage(stage, model)], card.condition
    stages = [Stage(sample_card(card, model, "base", sampling), model)]
    if upsampler:
        other = read_card(upsampler)
        stages.append(Stage(sample_card(other, upsampler, "upsampler", sampling), upsampler))
        for key in ("condition", "image_resolution", "base_resolution"):
            if (found := getattr(other, key)) != (expected := getattr(card, key)):
                raise InputError(f"{upsampler}: {key}: found {found}, expected {expected} as of {model}")
    return stages, card.condition


def read_card(weights: Path) -> TrainCard:
    """The card inside a file of weights."""
    try:
        with safe_open(weights, "numpy") as file:
            card = (file.metadata() or {}).get("card")
    except (OSError, SafetensorError) as error:
        raise InputError(f"{weights}: found no weights ({error}), expected weights of `train`; {PUBLISHED}") from None
    try:
        if "training" in (said := json.loads(card or "{}")):
            return from_dict(TrainCard, said)
    except (InputError, ValueError, RecursionError) as error:
        raise InputError(f"{weights}: card: {error}") from None
    raise InputError(f"{weights}: card: not found in its metadata, expected weights of `train`; {PUBLISHED}")


def sample_card(card: TrainCard, weights: Path, kind: str, sampling: SamplingConfig) -> SampleCard:
    """How a trained base model or upsampler is sampled."""
    if card.training.kind != kind:
        raise InputError(f"{weights}: kind: found {card.training.kind}, expected {kind}")
    return SampleCard(
        model="",
        conditions="",
        sampling=sampling,
        seed=card.seed,
        resolution=card.base_resolution if kind == "base" else card.image_resolution,
        unet=card.unet,
        encoder=card.encoder,
        noise_schedule=card.training.noise_schedule,
        diffusion_steps=card.training.diffusion_steps,
        void=card.training.void,
        low_res="" if kind == "base" else "low_res",
    )
