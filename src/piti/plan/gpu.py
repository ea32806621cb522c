"""How long a GPU takes for counted work: a roofline over its kernels (`piti.count.kernels`, counted by `piti.count`).

A matrix kernel takes as long as its operations at 41 % of the dense peak of the matrix units (TF32 where the precision
is fp32), or its bytes at 60 % of the bandwidth, whichever is longer; all other kernels take their bytes; and a step is
never done before the host has launched its kernels, 35 us each. With these three numbers seven trainings of the paper
preset take at most 14 % more or less than on one H100 (docs/cost.md); other GPUs are *assumed* to reach as much of
what their data sheets say. A step of fused Adam reads weight, gradient and two moments and writes all but the gradient,
the EMA reads two numbers and writes one. What waits for data, for other processes or for disk is not in it: data
loading takes a tenth of a step at most.
"""

from dataclasses import dataclass

from piti.store.files import InputError

OF_PEAK, OF_BANDWIDTH, LAUNCH = 0.41, 0.6, 35e-6  # fraction, fraction, seconds
ADAM, EMA = 4 * 7, 4 * 3  # bytes a number


@dataclass(frozen=True)
class GPU:
    """A kind of GPU by its vendor's data sheet. Peaks without sparsity, sums in fp32."""

    tf32: float  # 10^12 operations a second
    bf16: float  # likewise
    bandwidth: float  # 10^12 bytes a second
    memory: int  # GiB that torch sees of it
    capability: tuple[int, int]


GPUS = {
    "A100-40": GPU(156, 312, 1.555, 39, (8, 0)),
    "A100-80": GPU(156, 312, 2.039, 79, (8, 0)),
    "H100": GPU(494, 989, 3.35, 79, (9, 0)),
    "H200": GPU(494, 989, 4.8, 139, (9, 0)),
    "L40S": GPU(183, 362, 0.864, 44, (8, 9)),
    "RTX-A6000": GPU(77.4, 154.8, 0.768, 47, (8, 6)),
    "RTX-4090": GPU(82.6, 165.2, 1.008, 23, (8, 9)),
    "RTX-3090": GPU(35.6, 71, 0.936, 23, (8, 6)),
}
DEFAULT = "A100-80"


def gpu(name: str) -> GPU:
    """The GPU of that name. Raises InputError if there is none: older ones are not served by the pinned torch."""
    if name not in GPUS:
        raise InputError(f"gpu: found {name!r}, expected one of {', '.join(GPUS)}")
    return GPUS[name]


def needed(work: dict, images: int, card: GPU, precision: str, compiled: bool = False) -> tuple[float, float]:
    """Seconds of the GPU and of the host for one pass over so many images at once."""
    peak = OF_PEAK * 1e12 * (card.bf16 if precision == "bf16" else card.tf32)
    bandwidth, work = OF_BANDWIDTH * 1e12 * card.bandwidth, work[precision]
    matrix = sum(max(n * images / peak, (each * images + always) / bandwidth) for n, each, always in work["matrix"])
    each, always, launches = work["compiled" if compiled else "eager"]
    return matrix + (each * images + always) / bandwidth, launches * LAUNCH


def seconds_of_pass(work: dict, images: int, card: GPU, precision: str) -> float:
    """Seconds of one pass over so many images at once."""
    return max(needed(work, images, card, precision))


def seconds_of_step(
    count: dict, batch: int, at_once: int, card: GPU, precision: str, compiled: bool, ema: bool
) -> float:
    """Seconds of a training's step: its batch in parts of `at_once` images, then optimizer and EMA."""
    whole, rest = divmod(batch, at_once)
    parts = [(whole, at_once), (1, rest)] if rest else [(whole, at_once)]
    times = [(times, *needed(count, images, card, precision, compiled)) for times, images in parts]
    moved = ADAM * count["optimized"] + (EMA * count["ema"] if ema else 0)
    device = sum(n * seconds for n, seconds, _ in times) + moved / (OF_BANDWIDTH * 1e12 * card.bandwidth)
    return max(device, sum(n * host for n, _, host in times))


def operations(work: dict) -> int:
    """Operations an image of counted work's matrix kernels; a multiplication and an addition are two."""
    return sum(row[0] for row in work["fp32"]["matrix"])
