"""Where a job runs: its device, its share of several processes, its precision. All of it is torch's own."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Place:
    """One process of a job."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files and reports."""
        return self.rank == 0

    def gather(self, tensor: torch.Tensor) -> torch.Tensor:
        """Concatenate a tensor over the processes, in the order of their ranks."""
        if self.world == 1:
            return tensor
        parts = [torch.empty_like(tensor) for _ in range(self.world)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    def mean(self, tensor: torch.Tensor) -> torch.Tensor:
        """Average a tensor over the processes."""
        if self.world == 1:
            return tensor
        tensor = tensor.clone()
        dist.all_reduce(tensor)
        return tensor / self.world

    def wait(self) -> None:
        """Until every process has come here: torchrun ends the others as soon as one is gone."""
        if self.world > 1:
            dist.barrier()

    def any(self, flag: bool, step: int) -> bool:
        """Whether any process says so. Several processes ask each other every tenth step only: it makes them wait."""
        if self.world == 1:
            return flag
        return step % 10 == 0 and bool(self.mean(torch.tensor(float(flag), device=self.device)) > 0)


@contextlib.contextmanager
def place() -> Iterator[Place]:
    """This process's place; under torchrun the process group lives as long as the block."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    if world > 1:
        dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Place(device, rank, world)
    finally:
        if world > 1:
            dist.destroy_process_group()


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """bf16 where `precision` asks for it, nothing otherwise."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
