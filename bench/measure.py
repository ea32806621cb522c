"""Timing two ways of computing the same thing, and the line of the table that comes of it."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

Way = Callable[[], object]  # computes once; what it returns is compared, not timed


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    row: str
    unit: str  # "s" and "GB" are costs, everything else is a rate
    ours: float
    straightforward: float | None = None
    aim: float | None = None  # for `ratio`
    spread: float = 0.0  # slowest over fastest repetition, less 1; of the way where it is larger
    difference: float | None = None  # relative, between the two results

    @property
    def ratio(self) -> float | None:
        """How many times better ours is: times cheaper, or times as much."""
        if self.straightforward is None:
            return None
        cost = self.unit in ("s", "GB")
        return self.straightforward / self.ours if cost else self.ours / self.straightforward


def compare(
    row: str,
    ours: Way,
    straightforward: Way,
    device: torch.device,
    repeat: int,
    *,
    tolerance: float,
    aim: float | None = None,
    images: int = 0,
) -> Line:
    """Check that both ways agree, then time them: seconds, or images/s where one call makes `images` of them."""
    difference = agree(row, ours(), straightforward(), tolerance)  # which warms both up
    return race(row, ours, straightforward, device, repeat, difference=difference, aim=aim, images=images)


def race(
    row: str,
    ours: Way,
    straightforward: Way,
    device: torch.device,
    repeat: int,
    *,
    difference: float,
    aim: float | None = None,
    images: int = 0,
) -> Line:
    """`compare` without the check, for ways that draw random numbers of their own once they are timed."""
    times = alternate([ours, straightforward], device, repeat)
    ours_best, straight_best = (images / min(t) if images else min(t) for t in times)
    return Line(row, "images/s" if images else "s", ours_best, straight_best, aim, spread(times), difference)


def alternate(ways: Sequence[Way], device: torch.device, repeat: int) -> list[list[float]]:
    """Seconds of every call, A B A B …, so that a busy minute of the machine meets all ways. Warm them up before."""
    times = [[] for _ in ways]
    for _ in range(repeat):
        for way, seconds in zip(ways, times, strict=True):
            synchronise(device)
            start = time.perf_counter()
            way()
            synchronise(device)
            seconds.append(time.perf_counter() - start)
    return times


def spread(times: Sequence[Sequence[float]]) -> float:
    """How much slower the slowest repetition was than the fastest."""
    return max(max(t) / min(t) - 1 for t in times)


def agree(row: str, ours: object, straightforward: object, tolerance: float) -> float:
    """|ours - straightforward| / |straightforward| in the Euclidean norm. Raises RuntimeError beyond the tolerance."""
    a, b = _array(ours), _array(straightforward)
    difference = float(np.linalg.norm(a - b) / np.linalg.norm(b))
    if not difference <= tolerance:
        raise RuntimeError(f"{row}: the two ways differ by {difference:.2g}, expected at most {tolerance:g}")
    return difference


def has_bf16(device: torch.device) -> bool:
    """Whether the processor multiplies bf16 faster than float32: older ones only imitate it."""
    single, half = (torch.randn(1024, 1024, device=device).to(dtype) for dtype in (torch.float32, torch.bfloat16))
    ways = [lambda: single @ single, lambda: half @ half]
    alternate(ways, device, 1)
    single_times, half_times = alternate(ways, device, 5)
    return min(half_times) < 0.8 * min(single_times)


def precisions(device: torch.device) -> Iterator[str]:
    """What is worth measuring here."""
    yield "fp32"
    if has_bf16(device):
        yield "bf16"


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was asked to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _array(value: object) -> np.ndarray:
    value = value.detach().float().cpu() if isinstance(value, torch.Tensor) else value
    return np.asarray(value, np.float64).ravel()
