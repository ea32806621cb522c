"""Processes of which only one is there: a process group whose collectives return at once."""

import contextlib
import os
from collections.abc import Callable, Iterator
from unittest import mock

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import _create_work_from_future
from torch.futures import Future
from torch.testing._internal.distributed.fake_pg import FakeStore

SMALL = 65536  # bytes

# collective -> the argument that holds what this process sends
COLLECTIVES = {
    **dict.fromkeys(("broadcast", "allreduce", "allreduce_coalesced", "reduce", "barrier", "send"), 0),
    **dict.fromkeys(("allgather", "all_gather_single", "_allgather_base", "all_gather_single_coalesced"), 1),
    **dict.fromkeys(("reduce_scatter", "reduce_scatter_single", "_reduce_scatter_base", "scatter", "gather"), 1),
    **dict.fromkeys(("alltoall", "all_to_all_single", "alltoall_base"), 1),
}


class Alone(dist.ProcessGroup):
    """A group of which only this process is there. torch's own fake group fails under synchronised batch norm.
    Everything that is gathered, if small, is this process's.
    """

    heard: Callable[[str, int], object] = print  # called with a collective and the bytes that this process sends

    def __init__(self, rank: int, world: int):
        super().__init__(rank, world)
        self.world = world

    def size(self) -> int:
        return self.world

    def getBackendName(self) -> str:
        return "alone"


def _collective(name: str, place: int):
    def call(self, *args, **_):
        sent = _tensors(args[place]) if len(args) > place else []
        Alone.heard(name, sum(tensor.nbytes for tensor in sent))
        if "gather" in name and len(sent) == 1 and sent[0].nbytes <= SMALL:
            for out in _tensors(args[0]):
                out.view(-1, sent[0].numel()).copy_(sent[0].view(1, -1))
        future = Future()
        future.set_result(_tensors(args[0]) if args else [])
        return _create_work_from_future(future)

    return call


def _tensors(value) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    return [t for part in value for t in _tensors(part)] if isinstance(value, list | tuple) else []


for _name, _place in COLLECTIVES.items():
    setattr(Alone, _name, _collective(_name, _place))
dist.Backend.register_backend("alone", lambda _, rank, world, __: Alone(rank, world), devices=["cpu", "cuda"])
_init = dist.init_process_group


@contextlib.contextmanager
def process(rank: int, world: int) -> Iterator[None]:
    """Meanwhile this is one of so many processes of torchrun's on one machine, as soon as it joins its group."""
    said = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world}
    said |= {"MASTER_ADDR": "localhost", "MASTER_PORT": 1}

    def join(*_, **__) -> None:
        _init("alone", rank=rank, world_size=world, store=FakeStore())

    environment = {key: str(value) for key, value in said.items()} if world > 1 else {}
    with mock.patch.dict(os.environ, environment), mock.patch.object(dist, "init_process_group", join):
        yield
