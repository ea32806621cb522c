"""Resumable state of a training: every tensor in one safetensors file, replaced whole, never unpickled."""

import contextlib
import fcntl
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from piti.files import InputError, atomic

Groups = dict[str, dict[str, Tensor]]


def save(path: Path, groups: Groups, about: dict) -> None:
    """Write groups of tensors and a JSON-able `about` (step, curve, history). The file before stays."""
    tensors = {
        f"{group}:{name}": tensor.detach().to("cpu").contiguous()
        for group, members in groups.items()
        for name, tensor in members.items()
    }
    with atomic(path) as temporary:
        save_file(tensors, temporary, {"about": json.dumps(about)})


def load(path: Path, device: torch.device) -> tuple[Groups, dict]:
    """What `save` wrote. Raises InputError where the file is damaged."""
    groups: Groups = {}
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            for full in file.keys():  # noqa: SIM118
                group, name = full.split(":", 1)
                groups.setdefault(group, {})[name] = file.get_tensor(full)
            return groups, json.loads(file.metadata()["about"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a whole training state ({' '.join(str(error).split())})") from None


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: of two copies of one training the second waits, then finds the work done."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{folder}: in use by another process, waiting for it", file=sys.stderr)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def flatten_optimizer(optimizer: torch.optim.Optimizer, names: dict[Tensor, str]) -> dict[str, Tensor]:
    """An optimizer's state by parameter name: {"exp_avg.decoder.out.2.weight": …}."""
    return {
        f"{key}.{names[parameter]}": torch.as_tensor(value)
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, names: dict[Tensor, str], tensors: dict[str, Tensor]) -> None:
    """The reverse of `flatten_optimizer`. A parameter without saved state keeps none."""
    by_name = {name: parameter for parameter, name in names.items()}
    for full, tensor in tensors.items():
        key, name = full.split(".", 1)
        optimizer.state[by_name[name]][key] = tensor
