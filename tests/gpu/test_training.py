"""Does every distinct training of the paper preset run on GPUs? On a stub of CUDA: torch's dispatch, autograd, caching
allocator and fused optimizers are real, kernels do nothing.

Each training lives through its own step and loop, at full size, alone and as the first and the last of 2 and of 4
processes: five steps with all losses, log, failure check, save; killed after the third step and resumed; export.

It shows tensors on the wrong device, dtypes and shapes that CUDA refuses, waits of the host and the lines that wait,
copies from pageable memory, lost memory formats, kernels launched, peak memory as torch allocates it, and collectives
that not all processes issue. It cannot show numbers (what the host reads is 0, or what it has put there); speed; NCCL
(collectives return at once); cuDNN's limits and workspaces; limits of real kernels; torch.compile, whose kernels come
from a compiler that wants the card; CUDA graphs. Loader workers are other processes: here the loader has none.
"""

import pytest

from tests.gpu.life import live
from tests.gpu.project import processes, tasks
from tests.gpu.record import GIB, MIB
from tests.gpu.verdict import ACCUSTOMED, AFTERWARDS, problems

TRAININGS = [name for name, task in tasks().items() if task.step == "train"]


@pytest.mark.parametrize("name", TRAININGS)
def test_training(name, tmp_path, row):
    task, lives = tasks()[name], {}
    for world in sorted({processes(task.card, gpus) for gpus in (1, 2, 4)}):
        for rank in sorted({0, world - 1}):
            lives[world, rank] = live(task, rank, world, tmp_path / str(world))
    alone, shared = lives[1, 0], {}
    for world in (2, 4):
        calls, size = lives[world, 0].sent(ACCUSTOMED) if (world, 0) in lives else ("", "")
        shared |= {f"{world}": calls, f"MiB {world}": size and f"{size / MIB:.0f}"}
    row(
        "trainings: GiB, kernels a step (and after a resume), collectives and MiB a step of 2 and of 4 processes",
        name=name.removeprefix("train "),
        batch=task.card.training.batch,
        peak=f"{alone.peak / GIB:.1f}",
        reserved=f"{alone.reserved / GIB:.1f}",
        kernels=alone.launches[ACCUSTOMED],
        resumed=alone.launches[AFTERWARDS],
        **shared,
    )
    found = problems(lives)
    assert not found, "\n".join(["", *found])
