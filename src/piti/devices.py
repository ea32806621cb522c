"""Where a job computes: its device, its part among several processes, its precision. All of it is torch's own.

Everything that computes asks here, so that trainings, samples and features all use the same arithmetic: TF32 where
fp32 is asked for and a GPU has it, and cuDNN's fastest kernels.
"""

import contextlib
import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from piti.run.launch import processes_of
from piti.store.files import InputError


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

    def part(self, size: int) -> slice:
        """Which images of a global batch of `size` are this process's. `size` is a multiple of the processes."""
        own = size // self.world
        return slice(self.rank * own, (self.rank + 1) * own)

    def network(self, module: nn.Module) -> nn.Module:
        """A network to train here: channels last in memory, batch norms over the images of all processes.

        On CPUs, where torch cannot synchronise them, those of each process.
        """
        if self.world > 1 and self.device.type == "cuda":
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
        return module.to(self.device, memory_format=torch.channels_last).train()

    def sent(self, tensor: Tensor) -> Tensor:
        """A tensor on the device; from the host by way of pinned memory, so that nobody waits for it."""
        pageable = self.device.type == "cuda" and tensor.device.type == "cpu" and not tensor.is_pinned()
        return (tensor.pin_memory() if pageable else tensor).to(self.device, non_blocking=True)

    def gather(self, tensor: Tensor) -> Tensor:
        """Concatenate a tensor over the processes, in the order of their ranks."""
        if self.world == 1:
            return tensor
        parts = [torch.empty_like(tensor) for _ in range(self.world)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    def all_reduce(self, tensors: list[Tensor]) -> None:
        """Add tensors up over the processes, in place, all in one message. Each keeps its memory format."""
        if self.world == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view(tensor.shape))

    def wait(self) -> None:
        """Until every process has come here: torchrun ends the others as soon as one is gone."""
        if self.world > 1:
            dist.barrier()

    def any(self, step: int, *flags: bool) -> tuple[bool, ...]:
        """Of each flag, whether any process says so.

        Several processes ask each other every tenth step only: it makes them wait. In between, nobody says anything.
        """
        if self.world == 1:
            return flags
        if step % 10:
            return (False,) * len(flags)
        said = torch.tensor(flags, dtype=torch.float32, device=self.device)
        self.all_reduce([said])
        return tuple((said > 0).tolist())


@contextlib.contextmanager
def place(gpus: int | None = None) -> Iterator[Place]:
    """This process's place; under torchrun the process group lives as long as the block. gpus: as for `device`."""
    rank, world = processes_of(os.environ)
    here = device(gpus, int(os.environ["LOCAL_RANK"]) if world > 1 else 0)
    if world > 1:
        cuda = here.type == "cuda"
        dist.init_process_group("nccl" if cuda else "gloo", device_id=here if cuda else None)
    try:
        yield Place(here, rank, world)
    finally:
        if world > 1:
            dist.destroy_process_group()


def device(gpus: int | None = None, number: int = 0) -> torch.device:
    """The device of this process, its arithmetic set: the GPU of that number, or the CPU.

    gpus: how many the job has asked for; 0: none, None: whatever is there. Raises InputError where the job has asked
    for a GPU, or there is one, that this torch cannot use.
    """
    if gpus == 0 or not (gpus or torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise InputError(f"gpus: found none that torch can use, expected {gpus} as the job asked for: {_why_none()}")
    if number >= (found := torch.cuda.device_count()):
        raise InputError(f"gpus: found {found}, expected more than {number} for the processes of this node")
    here = torch.device("cuda", number)
    require_served(torch.cuda.get_device_name(here), torch.cuda.get_device_capability(here), torch.cuda.get_arch_list())
    torch.cuda.set_device(here)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    return here


def require_served(name: str, capability: tuple[int, int], built_for: list[str]) -> None:
    """Raise InputError unless a GPU of this compute capability runs code built for these ("sm_80", "compute_90").

    Machine code (sm) runs on later GPUs of the same major number, PTX (compute) on all later ones.
    """

    def serves(arch: str) -> bool:
        kind, _, number = arch.partition("_")
        number = number.rstrip("af")  # sm_90a: with what only that GPU has
        if not number.isdecimal():  # gfx90a: not NVIDIA's
            return False
        major, minor = divmod(int(number), 10)
        return (major, minor) <= capability and (kind == "compute" or major == capability[0])

    if not any(map(serves, built_for)):
        raise InputError(
            f"{name}: found compute capability {capability[0]}.{capability[1]}, expected what torch "
            f"{torch.__version__} is built for: {', '.join(built_for)}; envs/README.md says which torch serves others"
        )


def _why_none() -> str:
    """Driver, devices and versions: for the person who has to find out why torch sees no GPU."""
    version = Path("/proc/driver/nvidia/version")
    driver = version.read_text().split("Module", 1)[-1].split()[0] if version.exists() else "not loaded"
    devices = len(glob.glob("/dev/nvidia[0-9]*"))
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (
        f"torch {torch.__version__} (CUDA {torch.version.cuda}), NVIDIA driver {driver}, {devices} devices"
        + (f", CUDA_VISIBLE_DEVICES={hidden!r}" if hidden is not None else "")
        + "; `machine: {gpus: 0}` computes on the CPU"
    )


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """bf16 where `precision` asks for it, nothing otherwise. Raises InputError as `number_type` does."""
    dtype = number_type(device, precision)
    return torch.autocast(device.type, dtype, enabled=dtype == torch.bfloat16)


def number_type(device: torch.device, precision: str) -> torch.dtype:
    """What `precision` means, "fp32" or "bf16". Raises InputError where the device is a GPU without it."""
    if precision == "bf16" and device.type == "cuda":
        require_bf16(torch.cuda.get_device_name(device), torch.cuda.get_device_capability(device))
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]


def require_bf16(name: str, capability: tuple[int, int]) -> None:
    """Raise InputError unless a GPU of this compute capability multiplies in bf16; older ones only pretend to."""
    if capability < (8, 0):
        raise InputError(
            f"{name}: found compute capability {capability[0]}.{capability[1]}, expected 8.0 for bf16; "
            "`precision: fp32` computes without it"
        )


def compiled(module: nn.Module) -> nn.Module:
    """Compile a module's forward pass in place; its names stay. Dropout draws what it draws uncompiled."""
    module.compile(options={"fallback_random": True})
    return module


def is_compiled(module: nn.Module) -> bool:
    """Whether `compiled` was called on it."""
    return module._compiled_call_impl is not None  # torch has no other way to ask
