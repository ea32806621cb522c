"""A user's own conditions into pictures, by the same code that makes the pictures behind the tables."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from safetensors import SafetensorError, safe_open

from piti.card import from_dict
from piti.cards import GenerateCard, SampleCard, SamplingConfig, TrainCard
from piti.data import shards
from piti.data.conditions.mask import colour_map
from piti.data.shards import Shards
from piti.files import InputError, atomic
from piti.sample.diffusion import sample
from piti.sample.gan import generate

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


class Stage(NamedTuple):
    """A model and how it is sampled. The first makes pictures, a second enlarges them."""

    card: SampleCard | GenerateCard
    weights: Path


def translate(stages: Sequence[Stage], kind: str, conditions: Path, out: Path, batch_size: int) -> None:
    """Write a picture `out`/ID.png for each condition (mask, sketch or geometry): a file, or all files of a folder.

    Raises InputError for a file that is no such condition. Nothing is written before all pictures are made.
    """
    given, card = find(conditions, kind), stages[0].card
    side = card.encoder.side if isinstance(card, SampleCard) else card.side
    num_classes = getattr(card, "num_classes", 0) or 256

    def read(ids: list[str]) -> np.ndarray:
        return np.stack([READERS[kind](given[i], side, num_classes) for i in ids])

    with tempfile.TemporaryDirectory() as scratch:
        stored = shards.write(Path(scratch, "conditions"), kind, list(given), read, len(given), side)
        made = None
        for number, (card, weights) in enumerate(stages):
            output = Path(scratch, f"stage{number}", "index.json")
            if isinstance(card, GenerateCard):
                generate(card, output, weights, stored, nothing_apart(card, scratch, list(given)), batch_size)
            else:
                sample(card, output, weights, stored, made, batch_size)
            made = output
        pictures = Shards(made, "images")
        for row, name in enumerate(pictures.ids):
            with atomic(out / f"{name}.png") as temporary:
                Image.fromarray(pictures[row]).save(temporary, format="png")


def nothing_apart(card: GenerateCard, scratch: str, ids: list[str]) -> Path | None:
    """Empty instance maps for a baseline that wants some: the boundaries it sees are then those of the labels."""
    if not card.instances:
        return None
    side, folder = card.side, Path(scratch, "instances")
    return shards.write(folder, "instances", ids, lambda part: np.zeros((len(part), side, side), np.uint8), 4096, side)


# -- models by their weights -------------------------------------------------------------------------------------------


def stages_of(model: Path, upsampler: Path | None) -> tuple[list[Stage], str]:
    """The stages of weights that carry the card of their training, and the kind of condition that they take.

    Either is a file, or the folder of a trained model.
    """
    model, upsampler = (path / "weights.safetensors" if path and path.is_dir() else path for path in (model, upsampler))
    card = read_card(model)
    if card.gan:
        said = {key: getattr(card, key) for key in ("seed", "gan", "num_classes", "sketch_input", "instances")}
        stage = GenerateCard(model="", conditions="", side=card.image_side, **said)
        return [Stage(stage, model)], card.condition
    stages = [Stage(sample_card(card, model, "base"), model)]
    if upsampler:
        stages.append(Stage(sample_card(read_card(upsampler), upsampler, "upsampler"), upsampler))
    return stages, card.condition


def read_card(weights: Path) -> TrainCard:
    """The card inside a file of weights."""
    try:
        with safe_open(weights, "numpy") as file:
            card = (file.metadata() or {}).get("card")
    except (OSError, SafetensorError) as error:
        raise InputError(f"{weights}: found no weights ({error}), expected a .safetensors file") from None
    if card is None:
        raise InputError(f"{weights}: card: not found in its metadata, expected weights of `train`; see --method")
    return from_dict(TrainCard, json.loads(card))


def sample_card(card: TrainCard, weights: Path, kind: str) -> SampleCard:
    """How a trained base model or upsampler is sampled."""
    if card.training.kind != kind:
        raise InputError(f"{weights}: kind: found {card.training.kind}, expected {kind}")
    return SampleCard(
        model="",
        conditions="",
        sampling=SamplingConfig(),
        seed=card.seed,
        side=card.base_side if kind == "base" else card.image_side,
        unet=card.unet,
        encoder=card.encoder,
        noise_schedule=card.training.noise_schedule,
        diffusion_steps=card.training.diffusion_steps,
        low_res="" if kind == "base" else "low_res",
    )


# -- conditions --------------------------------------------------------------------------------------------------------


def find(path: Path, kind: str) -> dict[str, Path]:
    """Id -> file, of one file or of a folder's files in order; of geometry the file of the normals."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    files = sorted(f for f in path.iterdir() if f.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
    if kind == "geometry":
        normals = dict.fromkeys(f.with_name(f.name.replace("_depth.", "_normal.")) for f in files)
        return {f.stem.removesuffix("_normal"): f for f in normals}
    if not files:
        raise InputError(f"{path}: found no picture, expected at least one ({', '.join(SUFFIXES)})")
    return {f.stem: f for f in files}


def read_mask(path: Path, side: int, num_classes: int) -> np.ndarray:
    """Label ids uint8 side x side: 0 void, then classes; of colours those that the colour map paints them in."""
    picture = np.asarray(opened(path, side, ("L", "P", "RGB")))
    if picture.ndim == 2:
        labels = picture
    else:
        ids = {tuple(colour): i for i, colour in reversed(list(enumerate(colour_map(256).tolist())))}
        colours, places = np.unique(picture.reshape(-1, 3), axis=0, return_inverse=True)
        if unknown := [colour for colour in map(tuple, colours.tolist()) if colour not in ids]:
            raise InputError(f"{path}: found colour {unknown[0]}, expected those of the label colour map, or label ids")
        labels = np.array([ids[tuple(c)] for c in colours.tolist()], np.uint8)[places].reshape(side, side)
    if labels.max() >= min(num_classes, 255):
        raise InputError(f"{path}: found label {labels.max()}, expected 0 (void) to {min(num_classes, 255) - 1}")
    return labels


def read_sketch(path: Path, side: int, _: int) -> np.ndarray:
    """Edges uint8 side x side, 1 where the picture is white."""
    bits = np.asarray(opened(path, side, ("L", "RGB", "1")).convert("L")) > 127
    if bits.mean() > 0.5:
        raise InputError(f"{path}: found {bits.mean():.0%} white pixels, expected white edges on black")
    return bits.astype(np.uint8)


def read_geometry(path: Path, side: int, _: int) -> np.ndarray:
    """Normal and depth as colours, uint8 side x side x 6."""
    depth = path.with_name(path.name.replace("_normal.", "_depth."))
    if depth == path:
        raise InputError(f"{path}: found no _normal in its name, expected NAME_normal.png beside NAME_depth.png")
    return np.concatenate([np.asarray(opened(file, side, ("RGB",))) for file in (path, depth)], axis=-1)


READERS = {"mask": read_mask, "sketch": read_sketch, "geometry": read_geometry}


def opened(path: Path, side: int, modes: tuple[str, ...]) -> Image.Image:
    """A picture at the side that the model takes, by nearest neighbour (facts 1.3); an alpha channel is dropped."""
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a whole image ({error})") from None
    image = image.convert("RGB") if image.mode == "RGBA" else image
    if image.mode not in modes:
        raise InputError(f"{path}: found a picture of mode {image.mode}, expected {' or '.join(modes)}")
    return image.resize((side, side), Image.Resampling.NEAREST)
