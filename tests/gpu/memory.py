"""Count the GPU memory of all that the paper preset trains and samples. `python -m tests.gpu.memory` writes
src/piti/plan/memory.json beside flops.json, by the same digests:

    {"5e19cc003d": {"name": "paper: train spade-ade20k_mask", "fp32": {"fixed": …, "image": …}, "bf16": {…}}}

n images at once on the device take about fixed + n * image bytes at their peak, as torch allocates them; what torch
reserves is up to a half more, CUDA's context and libraries about 1 GiB. Counted on the stub, at as many images as the
preset takes at once and at half as many. A training is its whole life (life.py), where fewer images than the batch are
at once with the gradients of the others; the adversarial upsampler cannot do that. A sampler is guided. A step
without a precision of its own has "fp32" alone.

At a third number, a quarter of the preset's, the line was off by 0.1 % for the base sampler, by nothing for SPADE's
generator and HED, and said 3.5 % (fp32) and 4.4 % (bf16) too much for ADE20K's estimator; others were not tried.
"""

import argparse
import gc
import json
import logging
import os
import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import torch

from piti.cards import TrainCard
from piti.cards.base import digest
from piti.plan import cost
from piti.plan.cost import sized
from piti.progress import progress
from piti.store.files import write_text
from tests.gpu import device
from tests.gpu.environment import environment
from tests.gpu.life import live
from tests.gpu.project import Task, drawn, plan, tasks
from tests.gpu.record import Record

FILE = Path(cost.__file__).with_name("memory.json")


def main() -> None:
    argparse.ArgumentParser(prog="python -m tests.gpu.memory", description=__doc__.split("\n")[0]).parse_args()
    if not device.PRESENT:
        os.execve(sys.executable, [sys.executable, "-m", "tests.gpu.memory"], environment())
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    entries = {digest(sized(t.card)): (name, t) for name, t in tasks().items() if sized(t.card)}
    lines = []
    for key, (name, task) in progress(sorted(entries.items()), "trainings"):
        found = {precision: line(task, precision) for precision in precisions(task)}
        lines.append(f"{json.dumps(key)}: {json.dumps({'name': f'paper: {name}'} | found)}")
    write_text(FILE, "{\n" + ",\n".join(lines) + "\n}\n")


def precisions(task: Task) -> tuple[str, ...]:
    return ("fp32", "bf16") if hasattr(task.card, "training") or hasattr(task.card, "sampling") else ("fp32",)


def at_once(task: Task) -> tuple[int, int]:
    """How many images to count at: half of the preset's, and the preset's; at least 1 and 2."""
    machine = plan(task.preset).config.machine
    full = machine.sample_batch
    if isinstance(task.card, TrainCard):
        full = min(machine.micro_batch, task.card.training.batch)
    return max(full // 2, 1), max(full, 2)


def line(task: Task, precision: str) -> dict[str, int]:
    """fixed and image, in bytes."""
    few, many = at_once(task)
    low, high = peak(task, precision, few), peak(task, precision, many)
    image = (high - low) // (many - few)
    return {"fixed": high - many * image, "image": image}


def peak(task: Task, precision: str, images: int) -> int:
    """Bytes, with so many images at once."""
    gc.collect()  # what the work before has left in circles is not this one's
    torch._C._cuda_clearCublasWorkspaces()  # nor what its products have worked in
    with tempfile.TemporaryDirectory() as folder:
        if not isinstance(task.card, TrainCard):
            record, guided = Record(), {"guidance": 1.0} if hasattr(task.card, "sampling") else {}
            with record.watching(0, 1):
                task.run(Path(folder) / "own", drawn(task.card, precision=precision, **guided), sample_batch=images)
        else:
            changed = shared(task, precision, images)
            record = live(changed, 0, 1, Path(folder) / "own", saved=1, steps=2, micro_batch=images)
        if record.problems:
            raise RuntimeError(f"{task.name}: {'; '.join(record.problems)}")
        return record.peak


def shared(task: Task, precision: str, images: int) -> Task:
    """The training in a precision, with a batch of which so many images are at once."""
    training = task.card.training
    whole = training.adversarial or training.batch <= images
    changed = replace(training, precision=precision, batch=images if whole else min(training.batch, 2 * images))
    return replace(task, card=replace(task.card, training=changed))


if __name__ == "__main__":
    main()
