"""What a piece of the project's work did on the devices, by phase: the one place that watches."""

import contextlib
import gc
import re
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from tests.gpu import device
from tests.gpu.processes import Alone, process
from tests.gpu.project import ROOT

MIB, GIB = 2**20, 2**30


@dataclass
class Record:
    """One process's work."""

    own: int = 0  # its device
    phase: str = "start"
    events: dict[str, Counter] = field(default_factory=dict)  # phase -> (event, line) -> times
    launches: Counter = field(default_factory=Counter)  # phase -> kernels
    collectives: list[tuple[str, str, int, str]] = field(default_factory=list)  # phase, name, bytes, line
    switches: set[tuple[bool, ...]] = field(default_factory=set)  # at convolutions and matrix products: see `_switches`
    problems: list[str] = field(default_factory=list)
    seen: int = 0  # kernels that are counted already
    peak: int = 0  # bytes allocated on the own device
    reserved: int = 0

    def enter(self, phase: str) -> str:
        """Count for this phase from now on. Returns the one before."""
        before, self.phase = self.phase, phase
        now = device.launches()
        self.launches[before] += now - self.seen
        self.seen = now
        return before

    @contextlib.contextmanager
    def within(self, phase: str) -> Iterator[None]:
        before = self.enter(phase)
        yield  # after an error it stays there, and names it
        self.enter(before)

    def in_phase(self, phase: str, *events: str) -> Counter:
        """line -> times that these events came from it in the phase."""
        found = Counter()
        for (event, line), times in self.events.get(phase, {}).items():
            if event in events:
                found[line] += times
        return found

    def sent(self, phase: str) -> tuple[int, int]:
        """Collectives of the phase, and their bytes."""
        sizes = [size for where, _, size, _ in self.collectives if where == phase]
        return len(sizes), sum(sizes)

    @contextlib.contextmanager
    def watching(self, rank: int, world: int) -> Iterator[None]:
        """Meanwhile this is process `rank` of `world`. An error ends the block and becomes a problem."""
        clean()
        self.own, self.seen = rank, device.launches()
        held = [torch.cuda.memory_allocated(i) for i in range(torch.cuda.device_count())]
        with process(rank, world), device.heard(self._hear), _told(self._send):
            try:
                yield
            except Exception as error:
                self.problems.append(f"{self.phase}: {first_line(error)}")
                error.__traceback__ = None  # its frames hold tensors
            self.enter("end")
        self.peak, self.reserved = torch.cuda.max_memory_allocated(rank), torch.cuda.max_memory_reserved(rank)
        for other, before in enumerate(held):
            if other != rank and torch.cuda.max_memory_allocated(other) > before:
                self.problems.append("memory: also allocated on another process's device")
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()

    def _hear(self, event: str) -> None:
        if event == "math":
            self.switches.add(_switches())
        else:
            self.events.setdefault(self.phase, Counter())[event, line()] += 1

    def _send(self, name: str, size: int) -> None:
        self.collectives.append((self.phase, name, size, line()))


def _switches() -> tuple[bool, ...]:
    """TF32 in matrix products, TF32 in convolutions, cuDNN's choice by trial."""
    return (
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
    )


@contextlib.contextmanager
def _told(hearer) -> Iterator[None]:
    before, Alone.heard = Alone.heard, staticmethod(hearer)
    try:
        yield
    finally:
        Alone.heard = before


def clean() -> None:
    """Free devices, counted anew, and torch's own switches."""
    torch.cuda.init()
    gc.collect()
    torch.cuda.empty_cache()
    for i in range(torch.cuda.device_count()):
        torch.cuda.reset_peak_memory_stats(i)
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = False, True
    torch.backends.cudnn.benchmark = False
    torch.cuda.set_device(0)


def line() -> str:
    """The project's line that is being run, and torch's below it: "train/gan.py:83 through optim/optimizer.py"."""
    frame, through = sys._getframe(1), ""
    while frame:
        path = frame.f_code.co_filename
        if path.startswith(str(ROOT)):
            return f"{short(path)}:{frame.f_lineno}" + (f" through {through}" if through else "")
        if "/torch/" in path and not through:
            through = short(path)
        frame = frame.f_back
    return through or "a thread of torch's"  # the backward pass on the device has no line of Python


def first_line(error: Exception) -> str:
    """The error, and the project's line that it came through."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(str(ROOT))]
    where = f" [{short(frames[-1].filename)}:{frames[-1].lineno}]" if frames else ""
    text = re.sub(r"cuda:\d", "cuda:N", (str(error).strip() or "-").splitlines()[0][:300])
    return f"{type(error).__name__}: {text}{where}"


def short(path: str) -> str:
    return "/".join(Path(path).parts[-2:])
