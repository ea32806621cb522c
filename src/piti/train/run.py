"""A training in progress: its objective, its EMA weights, its curve, and the checkpoint they are resumed from."""

import math
import os
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import Dataset

from piti.cards.train import VALIDATION
from piti.devices import Place, is_compiled
from piti.store import checkpoint
from piti.store.files import InputError, atomic, write_json
from piti.store.provenance import started_as
from piti.train.ema import ema_update

COLLAPSE_STEPS = 5


class Objective(Protocol):
    """What is trained, one step at a time."""

    model: nn.Module  # whose EMA is exported
    modules: dict[str, nn.Module]  # everything with tensors of its own, the model among it
    optimizers: dict[str, torch.optim.Optimizer]
    # terms of the curve; where one is exactly zero at every step of a line, the training has collapsed
    must_not_vanish: tuple[str, ...]

    def update(self, batch: dict, step: int) -> dict[str, Tensor]:
        """Train one step on this process's part of the batch; return the whole batch's loss terms, on the device."""

    def exported(self, weights: dict[str, Tensor], batches: Dataset) -> dict[str, Tensor]:
        """The EMA weights in the form that others use."""


class Run:
    """Steps, curve and checkpoint of one training.

    The checkpoint is one safetensors file; `identity` is the digest of the card without its number of steps, so that a
    training can be extended, but never resumed as another one.
    """

    def __init__(self, objective: Objective, place: Place, folder: Path, identity: str, steps: int, ema_rate: float):
        self.objective, self.place, self.path = objective, place, folder / "checkpoint.safetensors"
        self.identity, self.steps, self.ema_rate = identity, steps, ema_rate
        self.names = {p: f"{m}.{n}" for m, module in objective.modules.items() for n, p in module.named_parameters()}
        self.trained = {n: p for n, p in objective.model.named_parameters() if p.requires_grad}
        # at rate 0 the EMA is the weights themselves
        self.ema = {n: p.detach().clone() if ema_rate else p for n, p in self.trained.items()}
        self.step, self.curve, self.pieces = 0, [], []
        self.sums: dict[str, Tensor] = {}  # of each loss term since the curve's last line
        self.counts: dict[str, int] = {}  # steps in each sum: a term may begin in the middle of a line
        self.bad: dict[str, Tensor] = {}  # first step at which a term was not finite, infinity where it always was
        if self.path.exists():
            self._load()
        self.began, self.first, self.saved = time.monotonic(), self.step, self.step
        self.saved_at, self.last_save = self.began, 0.0  # when a checkpoint was complete last, and the seconds it took
        self.save_seconds, self.save_bytes = 0.0, 0  # of all checkpoints that these processes have written

    def advance(self, batch: dict) -> None:
        """Train one step. Nothing here waits for the device."""
        terms = self.objective.update(batch, self.step)
        if self.ema_rate:
            ema_update(self.ema.values(), self.trained.values(), self.ema_rate)
        self.step += 1
        for name, value in terms.items():
            value = value.detach().double()
            self.sums[name] = self.sums.pop(name, 0) + value  # pop: the terms' order, also after a resume
            self.counts[name] = self.counts.get(name, 0) + 1
            here = torch.where(value.isfinite(), math.inf, float(self.step))
            self.bad[name] = torch.minimum(self.bad.get(name, here), here)

    def log(self) -> dict[str, float]:
        """Close a line of the curve: the mean of every term since the last one. Waits for the device."""
        means = {name: (value / self.counts[name]).item() for name, value in self.sums.items()}
        self.curve.append({"step": self.step, **means})
        self.sums, self.counts = {}, {}
        return means

    def looks(self) -> dict[int, dict[str, float]]:
        """Step -> what the look at validation pairs found, of all looks so far."""
        found = {
            line["step"]: {k.removeprefix(VALIDATION): v for k, v in line.items() if k.startswith(VALIDATION)}
            for line in self.curve
        }
        return {step: look for step, look in found.items() if look}

    def failure(self, whole_line: bool) -> str | None:
        """Why this training cannot go on, if it cannot. Waits for the device.

        whole_line: of the curve, over which a term may vanish.
        """
        firsts = {name: step.item() for name, step in self.bad.items()}
        term = min(firsts, key=firsts.get)
        if math.isfinite(firsts[term]):
            where = f"{term} is not finite at step {firsts[term]:.0f}"
        elif vanished := self._vanished() if whole_line else ():
            where = f"{vanished[0]} is exactly zero at the {self.counts[vanished[0]]} steps up to {self.step}"
        elif not _finite(self.ema.values()):
            where = f"the weights are not finite at step {self.step}"
        elif not _finite(self._moments()):  # an infinite second moment stops its weight for ever, and looks like rest
            where = f"the optimizer's moments are not finite at step {self.step}"
        else:
            return None
        return f"diverged: {where}"

    def _vanished(self) -> list[str]:
        """Terms that must not vanish and did, over enough steps in a row: one saturated batch is no collapse."""
        watched = [n for n in self.objective.must_not_vanish if self.counts.get(n, 0) >= COLLAPSE_STEPS]
        return [name for name in watched if not self.sums[name].any()]

    def _moments(self) -> list[Tensor]:
        """Everything that the optimizers remember."""
        states = [state for optimizer in self.objective.optimizers.values() for state in optimizer.state.values()]
        return [value for state in states for value in state.values() if isinstance(value, Tensor)]

    def due(self, minutes: float) -> bool:
        """Whether to write a checkpoint, by the clock of the process that writes it: so many minutes after the last.

        A save that took longer than a minute makes each of these as long: with 20, saving never takes more than one
        part in 21 of the time. 0: at every step.
        """
        return self.place.first and time.monotonic() - self.saved_at >= minutes * max(60, self.last_save)

    def save(self) -> None:
        """Write the checkpoint; the one before stays until this one is complete."""
        began = time.monotonic()
        groups = {"ema": self.ema if self.ema_rate else {}, "sums": self.sums}
        groups |= {f"module/{key}": self._kept(module) for key, module in self.objective.modules.items()}
        groups |= {
            f"optimizer/{key}": checkpoint.flatten_optimizer(optimizer, self.names)
            for key, optimizer in self.objective.optimizers.items()
        }
        about = {"identity": self.identity, "step": self.step, "counts": self.counts, "curve": self.curve}
        if self.place.first:
            checkpoint.save(self.path, groups, about | {"pieces": self.history()})
            self.save_bytes += self.path.stat().st_size
        self.saved, self.saved_at = self.step, time.monotonic()
        self.last_save = self.saved_at - began
        self.save_seconds += self.last_save

    def keep(self) -> None:
        """Leave the EMA weights as they are now beside the checkpoint, whole: a prior with its text part."""
        if self.place.first:
            with atomic(self.path.parent / f"ema/{self.step:08d}.safetensors") as temporary:
                weights = self.objective.model.state_dict() | self.ema
                save_file({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, temporary)

    def _load(self) -> None:
        groups, about = checkpoint.load(self.path)
        if about["identity"] != self.identity:
            raise InputError(
                f"{self.path}: card: found the checkpoint of {about['identity']}, expected {self.identity}"
            )
        if about["step"] > self.steps:
            raise InputError(f"{self.path}: step: found {about['step']}, expected at most {self.steps}")
        for key, module in self.objective.modules.items():
            module.load_state_dict(module.state_dict() | groups.get(f"module/{key}", {}))
        for key, optimizer in self.objective.optimizers.items():
            checkpoint.restore_optimizer(optimizer, self.names, groups.get(f"optimizer/{key}", {}))
        for name, tensor in self.ema.items() if self.ema_rate else ():
            tensor.copy_(groups["ema"][name])  # into what is there: it keeps its device and memory format
        self.sums = {name: tensor.to(self.place.device) for name, tensor in groups.get("sums", {}).items()}
        self.step, self.counts, self.curve, self.pieces = (about[k] for k in ("step", "counts", "curve", "pieces"))

    def _kept(self, module: nn.Module) -> dict[str, Tensor]:
        """A module's tensors, but for frozen parameters: those come from where they came from."""
        groups = [group for optimizer in self.objective.optimizers.values() for group in optimizer.param_groups]
        optimized = {parameter for group in groups for parameter in group["params"]}
        frozen = {name for name, parameter in module.named_parameters() if parameter not in optimized}
        return {name: tensor for name, tensor in module.state_dict().items() if name not in frozen}

    def note(self, doing: str) -> None:
        """Leave word of where this training is: progress.json beside the checkpoint, for `piti status`."""
        if self.place.first:
            about = {"doing": doing, "saved": self.saved, "steps": self.steps, "losses": self.curve[-1:]}
            write_json(self.path.with_name("progress.json"), about | {"piece": self.piece()})

    def history(self) -> list[dict]:
        """Which processes did which steps, for how long."""
        return [*self.pieces, self.piece()] if self.step > self.first else self.pieces

    def piece(self) -> dict:
        """What these processes have done: steps, seconds, host, device, job; by which code; and what saving took."""
        cuda, code = self.place.device.type == "cuda", started_as("piti.steps.train")
        return {
            "host": os.environ.get("SLURM_JOB_NODELIST", socket.gethostname()),
            "device": torch.cuda.get_device_name(self.place.device) if cuda else "cpu",
            "processes": self.place.world,
            "compile": is_compiled(self.objective.model),
            "job": os.environ.get("SLURM_JOB_ID", ""),
            **{key: code[key] for key in ("commit", "dirty", "code")},
            "from": self.first,
            "to": self.step,
            "seconds": round(time.monotonic() - self.began, 1),
            "save_seconds": round(self.save_seconds, 1),
            "save_bytes": self.save_bytes,
        }

    def made(self) -> dict:
        """For the artefact's metadata: its history, and what it cost (seconds times GPUs; 0 on CPUs)."""
        history = self.history()
        cost = sum(piece["processes"] * piece["seconds"] for piece in history if piece["device"] != "cpu")
        return {"gpu_seconds": round(cost, 1), "history": history}

    def exported(self, batches: Dataset) -> dict[str, Tensor]:
        """The whole model, EMA weights in place of the trained ones, as the objective hands it on."""
        weights = self.objective.exported(self.objective.model.state_dict() | self.ema, batches)
        return {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}


def _finite(tensors: Iterable[Tensor]) -> bool:
    """Whether every number of every tensor is finite. Waits for the device once."""
    return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())
