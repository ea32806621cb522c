"""Count the operations of all that the presets train and sample. `python -m piti.count` writes plan/flops.json.

A training is counted by running one step of its real objective on torch's meta device, where tensors have shapes and no
values: whatever the loop does is counted, and nothing that it does not do.
"""

import argparse
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from json import dumps
from pathlib import Path
from unittest import mock

import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from piti.baselines import build
from piti.card import digest
from piti.cards import Card, GANConfig, GenerateCard, SampleCard, SketchCard, TrainCard
from piti.config import load
from piti.devices import Place
from piti.files import write_text
from piti.networks.estimator import build as build_estimator
from piti.networks.glide import GLIDE
from piti.networks.hed import HED
from piti.networks.perceptual import PerceptualLoss, VGGFeatures
from piti.networks.piti import PITI
from piti.plan import resolve
from piti.plan.cost import release_card, sized
from piti.train.diffusion import DiffusionObjective
from piti.train.estimator import EstimatorObjective
from piti.train.gan import GANObjective
from piti.train.row import NETWORKS

CONFIG = Path(__file__).parents[2] / "config"
FILE = Path(__file__).parent / "plan" / "flops.json"
META = torch.device("meta")
BATCH = 2


def main() -> None:
    argparse.ArgumentParser(prog="python -m piti.count", description=__doc__.split("\n")[0]).parse_args()
    wanted = {}
    for preset in sorted(path.stem for path in (CONFIG / "presets").glob("*.yaml")):
        wanted |= cards(preset)
    entries = {key: {"name": name} | count(card) for key, (name, card) in tqdm(sorted(wanted.items()))}
    write_text(FILE, "{\n" + ",\n".join(f"{dumps(key)}: {dumps(entry)}" for key, entry in entries.items()) + "\n}\n")


def cards(preset: str) -> dict[str, tuple[str, Card]]:
    """What a preset's plan needs counted: digest -> what a person calls it, and the card."""
    # a data set without a source hides its column; any path shows it
    plan, _, _ = resolve(load({"preset": preset, "datasets": {"flickr": {"path": "/data/flickr"}}}, CONFIG))
    found = {}
    for artefact in plan.artefacts.values():
        for card in (artefact.card, release_card(artefact.card)):
            if (size := sized(card)) is not None:
                found.setdefault(digest(size), (f"{preset}: {artefact.step} {artefact.name}", card))
    return found


def count(card: Card) -> dict[str, int]:
    """Operations an image ("flop"; of sampling also "encode"), numbers in the exported weights and in the state."""
    with meta():
        if isinstance(card, TrainCard):
            return train_step(card)
        if isinstance(card, SampleCard):
            return sampling(card)
        side = card.hed_side if isinstance(card, SketchCard) else card.side
        if isinstance(card, SketchCard):
            network, inputs = HED(), (torch.empty(BATCH, 3, side, side),)
            return {"flop": counted(lambda: network(*inputs))}
        return generating(card)


def train_step(card: TrainCard) -> dict[str, int]:
    """One whole step of the card's objective, far enough into the training that every loss has begun."""
    card = replace(card, training=replace(card.training, batch=BATCH, precision="fp32"))
    make = gan_objective if card.gan else estimator_objective if card.estimator else diffusion_objective
    made = make(card)
    for optimizer in made.optimizers.values():
        optimizer.step = lambda: None  # fused, it knows no such device; it would add no count
    upsampler = card.training.kind.endswith("upsampler")
    side = card.image_side if upsampler or card.gan or card.estimator else card.base_side
    batch = {"image": torch.empty(BATCH, 3, side, side)} | condition(card)
    if upsampler:
        batch["low_res"] = torch.empty(BATCH, 3, card.base_side, card.base_side)
    flop = counted(lambda: made.update(batch, card.training.image_losses_from))
    optimized = sum(p.numel() for o in made.optimizers.values() for g in o.param_groups for p in g["params"])
    trained = sum(p.numel() for p in made.model.parameters() if p.requires_grad)
    weights = sum(tensor.numel() for tensor in made.model.state_dict().values())
    return {"flop": flop, "weights": weights, "state": 3 * optimized + trained}  # itself, two moments; an average


def condition(card: TrainCard) -> dict[str, torch.Tensor]:
    """What the loader gives besides the photograph."""
    if card.text:
        return {"condition": torch.empty(BATCH, card.text.context, dtype=torch.int64)}
    if card.estimator:
        labels = torch.empty(BATCH, card.image_side, card.image_side, dtype=torch.uint8)
        maps = torch.empty(BATCH, card.estimator.out_channels, card.image_side, card.image_side)
        return {"condition": labels if card.condition == "mask" else maps}
    if not card.gan:
        return {"condition": torch.empty(BATCH, 3, card.encoder.side, card.encoder.side)}
    side, channels = card.image_side, semantic_channels(card.gan)
    if not card.num_classes:
        return {"condition": torch.empty(BATCH, channels, side, side)}
    labels = {"condition": torch.empty(BATCH, side, side, dtype=torch.uint8)}
    return labels | ({"instances": labels["condition"].clone()} if channels > card.num_classes else {})


def diffusion_objective(card: TrainCard) -> DiffusionObjective:
    model = GLIDE(card.unet, card.text) if card.text else PITI(card.unet, card.encoder)
    loss = None
    if card.training.perceptual:
        loss = PerceptualLoss(vgg(card), card.training.perceptual, *NETWORKS[card.perceptual_format])
    return DiffusionObjective(card, model, Place(META), BATCH, loss)


def gan_objective(card: TrainCard) -> GANObjective:
    features = None
    if card.perceptual:
        features = VGGFeatures(vgg(card), arch=NETWORKS[card.perceptual_format][0], convention="raw")
    return GANObjective(card, build(card.gan), Place(META), BATCH, features)


def estimator_objective(card: TrainCard) -> EstimatorObjective:
    return EstimatorObjective(card, build_estimator(card.estimator), Place(META), BATCH)


def vgg(card: TrainCard) -> dict[str, torch.Tensor]:
    return getattr(torchvision.models, NETWORKS[card.perceptual_format][0])().state_dict()


def sampling(card: SampleCard) -> dict[str, int]:
    """Encoding a condition, and one pass of the decoder."""
    model = PITI(card.unet, card.encoder).requires_grad_(False)
    seen = torch.empty(BATCH, card.encoder.in_channels, card.encoder.side, card.encoder.side)
    low_res = torch.empty(BATCH, 3, card.side // 4, card.side // 4) if card.low_res else None
    x, t, encoded = torch.empty(BATCH, 3, card.side, card.side), torch.empty(BATCH), model.encode(seen)
    return {
        "flop": counted(lambda: model.denoise(x, t, encoded, low_res)),
        "encode": counted(lambda: model.encode(seen)),
    }


def generating(card: GenerateCard) -> dict[str, int]:
    """One picture of a baseline's generator."""
    baseline = build(card.gan).requires_grad_(False)
    seen = torch.empty(BATCH, semantic_channels(card.gan), card.side, card.side)
    drawn = {k: v.to(META) for k, v in baseline.draw(torch.Generator(), BATCH).items()}
    return {"flop": counted(lambda: baseline.generate(seen, drawn))}


def semantic_channels(gan: GANConfig) -> int:
    return next(config.condition_channels for config in vars(gan).values() if config)


def counted(work) -> int:
    """Operations an image of what `work()` does."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() // BATCH


@contextlib.contextmanager
def meta() -> Iterator[None]:
    """New tensors have no values; autocast, which knows no such device, is left out (a type changes no count)."""
    with META, mock.patch.object(torch, "autocast", lambda *_, **__: contextlib.nullcontext()):
        yield


if __name__ == "__main__":
    main()
