"""Weights from files into modules, strictly."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from piti.store.files import InputError

TEXT_PART = ("transformer.", "final_ln.", "token_embedding.", "positional_embedding", "padding_embedding")


def read(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file. Raises InputError where it is truncated or something else."""
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path}: found no whole safetensors file ({' '.join(str(error).split())})") from None


def load(module: nn.Module, state_dict: dict[str, torch.Tensor], source: str) -> None:
    """Load every tensor of `state_dict`, which must match the module's names and shapes exactly.

    Raises InputError with the first few missing, unexpected and mis-shaped names; `source` says where they came from.
    """
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state_dict.items()}
    shapes = [f"{n} {found[n]} instead of {expected[n]}" for n in expected if n in found and found[n] != expected[n]]
    problems = {
        "missing": [name for name in expected if name not in found],
        "unexpected": [name for name in found if name not in expected],
        "of another shape": shapes,
    }
    lines = [
        f"{len(names)} {kind} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
        for kind, names in problems.items()
        if names
    ]
    if lines:
        raise InputError(
            f"{source}: expected the {len(expected)} tensors of {type(module).__name__}: {'; '.join(lines)}"
        )
    module.load_state_dict(state_dict)


def strip_text(state_dict: dict[str, torch.Tensor], source: str) -> dict[str, torch.Tensor]:
    """GLIDE's checkpoint without its text part: what remains loads strictly into the U-Net (facts 2.2).

    Raises InputError when a piece of the text part is missing: then this is no checkpoint of GLIDE.
    """
    for piece in TEXT_PART:
        if not any(name.startswith(piece) for name in state_dict):
            raise InputError(
                f"{source}: found no {piece.rstrip('.')}, expected a checkpoint of GLIDE with its text part"
            )
    return {name: value for name, value in state_dict.items() if not name.startswith(TEXT_PART)}
