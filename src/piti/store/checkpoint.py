"""The checkpoint of a training: every tensor in one safetensors file, replaced whole, never unpickled."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from piti.store.files import InputError, atomic

Groups = dict[str, dict[str, Tensor]]


def save(path: Path, groups: Groups, about: dict) -> None:
    """Write groups of tensors and a JSON-able `about` (step, curve, history), with a digest of it all.

    The file before stays until this one is complete.
    """
    tensors = {
        f"{group}:{name}": tensor.detach().to("cpu").contiguous()
        for group, members in groups.items()
        for name, tensor in members.items()
    }
    with atomic(path) as temporary:
        save_file(tensors, temporary, {"about": json.dumps(about | {"digest": _digest(groups, about)})})


def load(path: Path) -> tuple[Groups, dict]:
    """What `save` wrote, on the CPU. Raises InputError where the file is damaged."""
    groups: Groups = {}
    try:
        with safe_open(path, "pt") as file:
            for full in file.keys():  # noqa: SIM118
                group, name = full.split(":", 1)
                groups.setdefault(group, {})[name] = file.get_tensor(full)
            about = json.loads(file.metadata()["about"])
        if about.pop("digest") != _digest(groups, about):
            raise ValueError("its bytes have changed since it was written")
        return groups, about
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: not a whole checkpoint ({reason}); removed, it makes the training begin again"
        ) from None


def _digest(groups: Groups, about: dict) -> str:
    """SHA-256 of every name, tensor and fact: safetensors itself would not notice a flipped bit."""
    found = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for group, members in sorted(groups.items()):
        for name, tensor in sorted(members.items()):
            found.update(f"{group}:{name}".encode())
            found.update(tensor.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def flatten_optimizer(optimizer: torch.optim.Optimizer, names: dict[Tensor, str]) -> dict[str, Tensor]:
    """An optimizer's state by parameter name: {"exp_avg.decoder.out.2.weight": …}."""
    return {
        f"{key}.{names[parameter]}": torch.as_tensor(value)
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, names: dict[Tensor, str], tensors: dict[str, Tensor]) -> None:
    """The reverse of `flatten_optimizer`. A parameter without saved state keeps none.

    Everything goes to the parameter's device: fused optimizers keep their step there too. What has the parameter's
    shape gets its memory format, which the file does not keep: fused kernels read both in the order of memory.
    """
    by_name = {name: parameter for parameter, name in names.items()}
    for full, tensor in tensors.items():
        key, name = full.split(".", 1)
        parameter = by_name[name]
        alike = tensor.shape == parameter.shape
        kept = torch.empty_like(parameter).copy_(tensor) if alike else tensor.to(parameter.device)
        optimizer.state[parameter][key] = kept
