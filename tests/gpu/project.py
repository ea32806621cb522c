"""All that the guard knows of the project: the paper preset's plan, how its steps are called, and what they read.

A task is a step of the plan with its card. Its inputs are stand-ins of the right kind and size: 32 pictures in shards,
weights that are holes (see hollow.py).
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import open_clip
import timm
import torch
import torchvision
from matplotlib import colormaps

import piti
from piti import conditions
from piti.baselines import build
from piti.cards import Card, TrainCard
from piti.cards.base import digest
from piti.conditions import CONDITIONS
from piti.count import __main__ as count
from piti.data import shards
from piti.evaluate.feature_networks import CLIP_MODEL
from piti.networks.estimator import build as build_estimator
from piti.networks.hed import HED
from piti.networks.piti import PITI
from piti.plan import Artefact, Plan
from piti.plan.cost import sized
from piti.plan.steps import STEPS
from piti.run import launch
from tests.gpu import hollow

ROOT = Path(piti.__file__).parent
PICTURES = 32  # in every stand-in: a whole batch of sampling
FEW = "5"  # steps of a sampler


@dataclass(frozen=True)
class Task:
    """One distinct piece of work of the plan."""

    name: str
    step: str
    card: Card
    inputs: dict[str, str]  # name -> path, as the plan has it
    output: str  # the name of its main file
    preset: str

    def without_looks(self) -> "Task":
        """A training that ends after its steps, not when it has converged."""
        inputs = {name: path for name, path in self.inputs.items() if not name.startswith("validation")}
        training = replace(self.card.training, converge_from=0)
        return replace(self, card=replace(self.card, training=training, validation=None), inputs=inputs)

    def run(self, folder: Path, card: Card | None = None, **options: int) -> Path:
        """Do the step, with stand-ins for its inputs; into a folder below `folder`, which is returned."""
        step, output = STEPS[self.step], folder / "made" / self.output
        artefacts = {artefact.path: artefact for artefact in plan(self.preset).artefacts.values()}
        named = {name: stand_in(artefacts[p], self.card, folder.parent) for name, p in self.inputs.items()}
        usual = {"gpus": 1, "sample_batch": PICTURES, "micro_batch": plan(self.preset).config.machine.micro_batch}
        options = {key: number for key, number in (usual | options).items() if key in step.options}
        output.parent.mkdir(parents=True, exist_ok=True)
        step(card or self.card, output, **named, **options)
        return output.parent


@cache
def plan(preset: str = "paper") -> Plan:
    return count.planned(preset)


@cache
def tasks(preset: str = "paper") -> dict[str, Task]:
    """Name -> task: of each size that is trained or sampled one, of each network that reads pictures one."""
    found, seen = {}, set()
    for artefact in plan(preset).artefacts.values():
        if (key := distinct(artefact)) is None or key in seen:
            continue
        seen.add(key)
        name = f"{artefact.step} {artefact.name}"
        inputs = {key: paths[0] for key, paths in artefact.inputs.items()}
        found[name] = Task(name, artefact.step, artefact.card, inputs, Path(artefact.path).name, preset)
    return found


def distinct(artefact: Artefact) -> str | None:
    """Artefacts with the same key are the same work; None: no work of a GPU."""
    card = artefact.card
    match artefact.step:
        case "train" | "sample" | "upsample" | "generate" | "draw_sketches":
            return digest(sized(card))
        case "extract_features":
            return card.extractor
        case "measure_alignment":
            if card.measure == "normal_error":  # undefined for the zeros that are read; depth asks the same network
                return None
            return f"{card.estimator or card.measure}"
        case "edit_samples" | "draw_variants":
            return artefact.step
    return None


def processes(card: TrainCard, gpus: int) -> int:
    """How many processes a training gets that may use so many GPUs of one machine."""
    return launch.sharing(card.training.batch, 1, gpus)[1]


def with_losses(card: TrainCard, steps: int, **training) -> TrainCard:
    """The training, so many steps long, all its losses from the first step."""
    return replace(card, training=replace(card.training, image_losses_from=0, steps=steps, **training))


def drawn(card: Card, **sampling) -> Card:
    """The same sampled otherwise, in FEW steps."""
    if hasattr(card, "sampling"):
        few = {"base_respacing": FEW, "upsampler_respacing": FEW}
        return replace(card, sampling=replace(card.sampling, **few, **sampling))
    if hasattr(card, "variants"):
        card = replace(card, variants=tuple(replace(v, sampling=drawn(v, **sampling).sampling) for v in card.variants))
    if hasattr(card, "base"):
        card = replace(card, base=drawn(card.base, **sampling), upsampler=drawn(card.upsampler, **sampling))
    return replace(card, min_images=1) if hasattr(card, "min_images") else card


# -- what stands in for inputs -------------------------------------------------------------------------------------


def stand_in(artefact: Artefact, reader: Card, folder: Path) -> Path:
    """A file or a folder of shards in place of the artefact, for the step whose card is `reader`."""
    made = folder / "inputs" / artefact.digest / Path(artefact.path).name
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        match artefact.step:
            case "pack":
                pictures(made.parent, artefact.card.kind, artefact.card.shrunk_resolution or artefact.card.resolution)
            case "draw_sketches":
                pictures(made.parent, "sketch", artefact.card.resolution)
            case "sample" | "upsample" | "generate":
                pictures(made.parent, "images", artefact.card.resolution)
            case _:
                weights(made, artefact, reader)
    return made


def pictures(folder: Path, kind: str, resolution: int) -> None:
    """Shards of dark pictures; of a label map i the upper part is class i + 1, which is enough to edit it."""
    stored = np.zeros((PICTURES, *conditions.stored(kind).shape(resolution)), np.uint8)
    if kind == "geometry":
        stored[..., 3:] = colormaps["jet"](0, bytes=True)[:3]  # a depth
    if kind == "mask":
        stored[:, : resolution // 4] = np.arange(1, PICTURES + 1)[:, None, None]
    ids = [f"{i:02}" for i in range(PICTURES)]
    shards.write(folder, kind, ids, lambda wanted: stored[[int(i) for i in wanted]], PICTURES, resolution)


def weights(path: Path, artefact: Artefact, reader: Card) -> None:
    """A file of weights, all zeros, as `train`, `convert_weights` or `download` would make it."""
    if artefact.step == "download":  # Inception, which no package carries: a small network of the same form
        torch.jit.script(Whole()).save(str(path))
        return
    with torch.device("meta"):
        if artefact.step == "train":
            found = trained(artefact.card).state_dict()
        else:
            found = PUBLISHED[artefact.card.format](reader)
    hollow.write(path, found)


def trained(card: TrainCard) -> torch.nn.Module:
    if card.estimator:
        return build_estimator(card.estimator)
    if card.baseline:
        return build(card.baseline).generator
    return PITI(card.unet, card.encoder.with_channels(CONDITIONS[card.condition].channels))


def _vgg19(_: Card) -> dict[str, torch.Tensor]:
    return {f"features.{name}": tensor for name, tensor in torchvision.models.vgg19().features.state_dict().items()}


def _clip(_: Card) -> dict[str, torch.Tensor]:
    visual = open_clip.create_model(CLIP_MODEL, load_weights=False, device="meta").visual
    return {f"visual.{name}": tensor for name, tensor in visual.state_dict().items()}


PUBLISHED = {  # format -> the tensors that `convert_weights` makes, for the card that reads them
    "vgg19_torchvision": _vgg19,
    "openai_clip": _clip,
    "efficientnet_lite0": lambda _: timm.create_model("tf_efficientnet_lite0").state_dict(),
    "hed_keras_h5": lambda _: HED().state_dict(),
    "glide": lambda card: PITI(card.unet, card.encoder).decoder.state_dict(),
    "resnet50_torchvision": lambda card: build_estimator(card.estimator).trunk.state_dict(),
}


class Whole(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(3, 2048, 3, stride=32), torch.nn.AdaptiveAvgPool2d(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)
