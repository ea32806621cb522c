"""Trainings small enough for tests: the real path of a row, on a few synthetic scenes and the smallest networks."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from piti import scenes
from piti.cards import EncoderConfig, TextConfig, TrainCard, TrainingConfig, UNetConfig
from piti.cards.base import digest
from piti.data.resize import shrink
from piti.data.shards import write
from piti.train.batches import Files
from piti.train.row import Work, train_row

needs_compiler = pytest.mark.skipif(
    not (os.environ.get("CXX") or shutil.which("g++")) and os.environ.get("CI") != "true", reason="no C++ compiler"
)
SIDE, BASE_SIDE = 32, 16
UNET = UNetConfig(
    model_channels=16,
    channel_mult=(1, 2),
    num_res_blocks=1,
    attention_resolutions=(2,),
    num_head_channels=16,
    token_width=32,
)
UPSAMPLER = replace(UNET, in_channels=6, patch_size=2)
ENCODER = EncoderConfig(resolution=SIDE, strides=2, width=32, layers=1, heads=2)
TEXT = TextConfig(width=32, layers=1, heads=2, context=scenes.LENGTH, vocabulary=len(scenes.VOCABULARY))


def data(folder: Path, count: int, resolution: int = SIDE, base_resolution: int = BASE_SIDE) -> dict[str, Path]:
    """Shards of synthetic scenes: "images" at `resolution`, "small" at `base_resolution`, and the conditions "mask" and
    "caption".
    """
    drawn = scenes.render(3, np.arange(count), resolution)
    ids = [f"scene-{i}" for i in range(count)]
    items = {
        "images": ("images", drawn.image, resolution),
        "small": ("images", shrink(drawn.image, base_resolution), base_resolution),
        "mask": ("mask", drawn.classes + 1, resolution),
        "caption": ("caption", drawn.tokens, scenes.LENGTH),
    }

    def stored(name: str) -> Path:
        kind, array, resolution = items[name]
        make = lambda wanted: array[[ids.index(i) for i in wanted]]  # noqa: E731
        return write(folder / name, kind, ids, make, shard_size=5, resolution=resolution)

    return {name: stored(name) for name in items}


def card(kind: str = "base", *, dropout: float = 0.1, seed: int = 1, **training) -> TrainCard:
    """A card of the given kind; the prior learns from captions, everything else from masks."""
    prior, upsampler = kind.startswith("prior"), kind.endswith("upsampler")
    training = {"batch": 4, "lr": 1e-3, "ema_rate": 0.9, "diffusion_steps": 100} | training
    return TrainCard(
        training=TrainingConfig(kind=kind, **training),
        seed=seed,
        images="",
        condition="caption" if prior else "mask",
        conditions="",
        image_resolution=SIDE,
        base_resolution=BASE_SIDE,
        unet=replace(UPSAMPLER if upsampler else UNET, dropout=dropout),
        encoder=None if prior else ENCODER,
        text=TEXT if prior else None,
        perceptual="vgg" if training.get("perceptual") else "",
        perceptual_format="vgg19_torchvision" if training.get("perceptual") else "",
    )


def output(folder: Path, card: TrainCard) -> Path:
    """Where a training's weights lie: as in the workflow, below the digest of the card."""
    return folder / digest(card) / "weights.safetensors"


def inputs(card: TrainCard, shards: dict[str, Path]) -> tuple[Path | None, Path | None]:
    """The photographs and the conditions of a card; none where it draws them."""
    if card.synthetic:
        return None, None
    return shards["images" if card.training.kind.endswith("upsampler") else "small"], shards[card.condition]


def train(folder: Path, card: TrainCard, shards: dict[str, Path], init: Path | None = None, **options) -> Path:
    """Train the card and return its weights; a second call goes on where the first one stopped."""
    options = {
        "micro_batch": 16,
        "workers": 0,
        "compile": False,
        "log_every": 5,
        "save_minutes": 60,
        "minutes": 0,
    } | options
    perceptual = vgg(folder / "vgg.safetensors") if card.perceptual else None
    train_row(card, output(folder, card), Files(*inputs(card, shards), init, perceptual), Work(**options))
    return output(folder, card)


def vgg(path: Path) -> Path:
    """Random weights for the perceptual loss."""
    draw = torch.Generator().manual_seed(0)
    widths = {0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128)}  # the layers up to conv2_2
    weights = {
        f"features.{i}.weight": torch.randn(*w, 3, 3, generator=draw) / (9 * w[1]) ** 0.5 for i, w in widths.items()
    }
    weights |= {f"features.{i}.bias": torch.zeros(w[0]) for i, w in widths.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path)
    return path


def stirred(module: nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a module as if it had been trained: no layer is zero, as some are in a new one."""
    torch.manual_seed(0)
    return {name: tensor + 0.1 * torch.randn(tensor.shape) for name, tensor in module.state_dict().items()}
