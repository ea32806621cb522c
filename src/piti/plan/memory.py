"""How much memory of a GPU a training or sampling takes at its peak, as it was counted (memory.json).

The file says of each size of network (`sized`) and precision what is always there and what each image at once adds, in
bytes as torch allocates them. What torch reserves may be more; it gives that back before it fails.
"""

import json
from pathlib import Path
from typing import NamedTuple

from piti.cards import Card, TrainCard
from piti.config import Machine
from piti.plan.cost import precision_of, size

GIB = 2**30
CONTEXT = 1.0  # GiB of CUDA's context and of the libraries' workspaces, besides
PEAKS = json.loads(Path(__file__).with_name("memory.json").read_text())


class Peak(NamedTuple):
    """The work of one process on one GPU."""

    precision: str
    images: int  # at once
    gib: float | None  # nothing: nobody has counted it


def at_once(card: TrainCard, machine: Machine, processes: int = 1) -> int:
    """Images that a training's process has on its GPU at once."""
    return max(1, min(machine.micro_batch, card.training.batch // processes))


def peak(card: Card, machine: Machine, processes: int = 1, precision: str = "") -> Peak:
    """Peak of a training, or of drawing pictures or sketches, in its own precision if no other is asked for."""
    trains = isinstance(card, TrainCard)
    precision = precision or precision_of(card)
    images = at_once(card, machine, processes) if trains else machine.sample_batch
    known = PEAKS.get(size(card), {}).get(precision)
    return Peak(precision, images, known and CONTEXT + (known["fixed"] + images * known["image"]) / GIB)


def remedies(card: Card, machine: Machine, room: float) -> list[str]:
    """What makes work fit that does not: each alone, and of them only bf16 is in the card.

    Images at once may be fewer where every image is by itself: not where batch norm or a discriminator sees the batch.
    """
    found = []
    if precision_of(card) == "fp32" and fits(peak(card, machine, precision="bf16"), room):
        found.append("precision: bf16")
    known = PEAKS[size(card)][precision_of(card)]
    most = int(((room - CONTEXT) * GIB - known["fixed"]) // known["image"])
    trains = isinstance(card, TrainCard)
    if most >= 1 and not (trains and (card.baseline or card.estimator or card.training.adversarial)):
        found.append(f"machine.{'micro' if trains else 'sample'}_batch: {most}")
    if not trains:
        return found
    batch = card.training.batch
    several = [n for n in range(2, batch + 1) if batch % n == 0 and fits(peak(card, machine, n), room)]
    return found + [f"{n} GPUs" for n in several[:1]]


def fits(found: Peak, room: float) -> bool:
    return found.gib is not None and found.gib <= room
