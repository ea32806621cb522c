"""A training's life: begun, killed after a saved step, resumed, ended; as one process of so many."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import torch

from piti.data.loader import Batches
from piti.devices import Place
from piti.train.run import Run
from tests.gpu import device
from tests.gpu.project import Task, with_losses
from tests.gpu.record import Record, first_line

SAVED, STEPS = 3, 5  # killed after the one, as a whole so many; the second step is the first of an accustomed torch


class Killed(BaseException):
    """As `kill -9` would, nothing that the project catches."""


@dataclass
class Life(Record):
    """What the training did, and the order of its tensors' memory when it was saved and when it was resumed."""

    formats: dict[str, dict[str, bool]] = field(default_factory=dict)  # phase -> tensor -> is it in channels last?


def live(task: Task, rank: int, world: int, folder: Path, saved: int = SAVED, steps: int = STEPS, **options) -> Life:
    """The whole life. Each process has a folder of its own below `folder`; the first one's state goes to the others."""
    life, own = Life(), folder / f"rank{rank}"
    card, options = with_losses(task.card, steps), {"log_every": saved} | options
    with life.watching(rank, world), phases(life), due(after=saved):
        with killed(at=saved), contextlib.suppress(Killed):
            task.run(own, card, **options)
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        if rank == 0:
            hand_over(own, folder / "saved")
        else:
            hand_over(folder / "saved", own)
        life.enter("resume")
        task.run(own, card, **options)
    return life


def hand_over(one: Path, other: Path) -> None:
    """The state that the first process has saved, which all resume from, as on a shared disk."""
    for file in one.rglob("checkpoint.safetensors"):
        to = other / file.relative_to(one)
        to.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, to)


@contextlib.contextmanager
def killed(at: int) -> Iterator[None]:
    """Meanwhile the process ends when it asks for this step's batch."""
    get = Batches.__getitem__

    def until(batches: Batches, step: int) -> dict:
        if step == at:
            raise Killed
        return get(batches, step)

    with mock.patch.object(Batches, "__getitem__", until):
        yield


@contextlib.contextmanager
def due(after: int) -> Iterator[None]:
    """Meanwhile a checkpoint is due after this step and no other, as all processes would have agreed."""
    with mock.patch.object(Place, "any", lambda place, step, *_: (False, step == after)):
        yield


@contextlib.contextmanager
def phases(life: Life) -> Iterator[None]:
    """Meanwhile what a training does counts for its phases: "step 3", "failure", "log", "save", "exported"; and in
    between for "loop".
    """

    def phase(name: str):
        method = getattr(Run, name)

        def wrapped(run: Run, *arguments):
            life.enter("loop")
            with life.within(f"step {run.step + 1}" if name == "advance" else name):
                if name == "failure":
                    return never_failing(life, lambda: method(run, *arguments))
                if name in ("advance", "save"):
                    life.formats.setdefault(life.phase, formats(run))
                return method(run, *arguments)

        return mock.patch.object(Run, name, wrapped)

    with contextlib.ExitStack() as stack:
        for name in ("advance", "failure", "log", "save", "exported"):
            stack.enter_context(phase(name))
        yield


def never_failing(life: Life, failure: Callable[[], str | None]) -> None:
    """The check to its end: one of these numbers will mean that all is well, and every question is answered yes.

    An error in it becomes a problem, and the training goes on: what comes later is to be seen too.
    """
    for value in (float("inf"), float("nan"), 0.0, 1.0):
        try:
            with device.answering(value):
                said = failure()
        except Exception as error:
            said = first_line(error)
            break
        if said is None:
            return
    life.problems.append(f"failure: {said}")


def formats(run: Run) -> dict[str, bool]:
    """Of every tensor of weights, averages and moments with four axes: whether its memory has the channels last."""
    found = {f"{key}.{n}": p for key, module in run.objective.modules.items() for n, p in module.named_parameters()}
    found |= {f"average.{name}": tensor for name, tensor in run.ema.items()}
    for optimizer in run.objective.optimizers.values():
        for parameter, state in optimizer.state.items():
            found |= {f"{key}.{run.names[parameter]}": v for key, v in state.items() if isinstance(v, torch.Tensor)}
    return {
        name: tensor.is_contiguous(memory_format=torch.channels_last)
        for name, tensor in found.items()
        if tensor.ndim == 4 and not (tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last))
    }
