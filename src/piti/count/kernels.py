"""The kernels that work runs on a GPU, found by running it on torch's meta device, where nothing is computed.

`Trace` sees every operator below autograd, forward and backward, with the shapes and types of its tensors. An operator
is a kernel; views are none. What a GPU does besides is stated here: fused attention, cuDNN's copies of tensors whose
channels do not lie last, norms that read their input twice, autocast. `work` sums them up:
the matrix kernels (convolutions, products, attention) by their operations a byte, and what all others read and write,
each by itself (eager) or as torch.compile would fuse them (compiled).
"""

import contextlib
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import flop_registry

# Functions that CUDA's autocast runs in bf16, and those that it keeps in fp32, as far as this project calls any.
IN_BF16 = {"conv2d", "conv_transpose2d", "linear", "matmul", "__matmul__", "mm", "bmm", "mv", "addmm"}
IN_BF16 |= {"scaled_dot_product_attention"}
IN_FP32 = {"group_norm", "layer_norm", "softmax", "cross_entropy", "mse_loss", "l1_loss", "cosine_similarity"}
IN_FP32 |= {"softplus", "exp", "pow", "sum"}
TWICE = ("native_group_norm", "native_batch_norm", "cudnn_batch_norm")  # statistics first, then the values once more


@dataclass
class Kernel:
    """One kernel: its operations if it is a matrix kernel, and the bytes that it reads and writes, by storage."""

    flop: int
    reads: dict[int, int] = field(default_factory=dict)
    writes: dict[int, int] = field(default_factory=dict)
    again: int = 0  # bytes besides: what is read twice, copies into another memory format
    launches: int = 1

    @property
    def bytes(self) -> int:
        return sum(self.reads.values()) + sum(self.writes.values()) + self.again


class Trace(TorchDispatchMode):
    """The kernels run in this block, in their order."""

    def __init__(self):
        super().__init__()
        self.kernels: list[Kernel] = []
        self._alive = []  # storages, so that no address is used twice

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        packet = operator.overloadpacket
        if packet not in flop_registry and operator is not torch.ops.prim.device.default:
            with self:  # an operator made of others is seen as these
                if (parts := operator.decompose(*args, **kwargs)) is not NotImplemented:
                    return parts
        result = operator(*args, **kwargs)
        taken = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        given = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        old = {self._storage(tensor) for tensor in taken}
        new = [t for t in given if operator._schema.is_mutable or self._storage(t) not in old]
        if not new or "empty" in operator.name():
            return result  # a view, or room that nobody writes to
        flop = flop_registry[packet](*args, **kwargs, out_val=result) if packet in flop_registry else 0
        if "attention_backward" in operator.name():
            flop = flop * 4 // 5  # its formula has the scores made again, which is no part of the work
        kernel = Kernel(flop, self._bytes(taken), self._bytes(new))
        if operator.name().startswith(tuple(f"aten::{name}" for name in TWICE)):
            kernel.again = max(kernel.reads.values()) * (2 if "backward" in operator.name() else 1)
        if "convolution" in operator.name():
            self._convolution(kernel, operator, args, taken)
        self.kernels.append(kernel)
        return result

    def _convolution(self, kernel: Kernel, operator, args: tuple, taken: list[Tensor]) -> None:
        """cuDNN copies what does not lie with its channels last beside weights that do; backward is several kernels."""
        if "backward" in operator.name():
            kernel.launches = sum(args[-1])  # of the input's, the weight's and the bias's gradient
            kernel.again += (kernel.launches - 1) * _size(args[0])  # each reads the output's gradient
        if any(_channels_last(tensor) and not tensor.is_contiguous() for tensor in taken):
            copied = [t for t in taken if t.dim() == 4 and not _channels_last(t)]
            kernel.again += 2 * sum(map(_size, copied))
            kernel.launches += len(copied)

    def _storage(self, tensor: Tensor) -> int:
        storage = tensor.untyped_storage()
        self._alive.append(storage)
        return storage._cdata

    def _bytes(self, tensors: list[Tensor]) -> dict[int, int]:
        """By storage, the bytes of it that these tensors show."""
        found = defaultdict(int)
        for tensor in tensors:
            found[self._storage(tensor)] += _size(tensor)
        return {key: min(found[key], t.untyped_storage().nbytes()) for t in tensors for key in [self._storage(t)]}


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _channels_last(tensor: Tensor) -> bool:
    return tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)


class FusedAttention(TorchFunctionMode):
    """Attention is one kernel, as on GPUs; the meta device would make its matrix of scores."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.nn.functional.scaled_dot_product_attention:
            return torch.ops.aten._scaled_dot_product_efficient_attention(*args, None, torch.is_grad_enabled())[0]
        return function(*args, **(kwargs or {}))


class Autocast(TorchFunctionMode):
    """The casts of CUDA's autocast to bf16, which knows no meta device; each weight once. Of nested ones the inner
    one counts: `enabled=False` ends the casts in its block."""

    nested: ClassVar[list["Autocast"]] = []

    def __init__(self, device: str, dtype: torch.dtype = torch.bfloat16, enabled: bool = True):
        super().__init__()
        self.enabled, self.cast = enabled, {}

    def __enter__(self):
        self.nested.append(self)
        return super().__enter__()

    def __exit__(self, *error):
        self.nested.pop()
        return super().__exit__(*error)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs, acts = kwargs or {}, self.enabled and self is self.nested[-1]
        if acts and function.__name__ in IN_BF16:
            args, kwargs = tree_map(self._half, (args, kwargs))
        elif acts and function.__name__ in IN_FP32:
            args, kwargs = tree_map(lambda v: v.float() if _is(v, torch.bfloat16) else v, (args, kwargs))
        return function(*args, **kwargs)

    def _half(self, value):
        if not _is(value, torch.float32):
            return value
        if not (value.is_leaf and value.requires_grad):
            return value.bfloat16()
        if value not in self.cast:
            self.cast[value] = value.bfloat16()
        return self.cast[value]


def _is(value, dtype: torch.dtype) -> bool:
    return isinstance(value, Tensor) and value.dtype == dtype


@contextlib.contextmanager
def traced() -> Iterator[list[Kernel]]:
    """The kernels of what runs in this block."""
    with FusedAttention(), Trace() as trace:
        yield trace.kernels


def eager(kernels: list[Kernel]) -> tuple[int, int]:
    """Bytes that all but the matrix kernels move, and launches, each kernel by itself."""
    moved = sum(kernel.again if kernel.flop else kernel.bytes for kernel in kernels)
    return moved, sum(kernel.launches for kernel in kernels)


def compiled(kernels: list[Kernel]) -> tuple[int, int]:
    """The same where all between two layers of matrix kernels is one kernel (*assumed*): it reads and writes only what
    others write and read. A norm reads its input twice all the same; no copies into another memory format are left.
    """
    depth = defaultdict(int)  # of a storage: matrix kernels before it
    values: dict[int, list] = {}  # of a storage: number, bytes, and depth of the fused kernel that wrote it last
    read, written, unread, moved, launches, depths = {}, {}, {}, 0, 0, set()
    for number, kernel in enumerate(kernels):
        here = max((depth[storage] for storage in kernel.reads), default=0)
        for storage, size in kernel.reads.items():
            maker, bytes_, depth_ = values.get(storage, (None, 0, None))
            unread.pop((storage, maker), None)
            if kernel.flop or depth_ != here:
                if depth_ is not None:
                    written[storage, maker] = bytes_
                if not kernel.flop:
                    read[here, storage, maker] = size
        for storage, size in kernel.writes.items():
            depth[storage] = here + (kernel.flop > 0)
            values[storage] = (number, size, None if kernel.flop else here)
            if not kernel.flop:
                unread[storage, number] = size
        if kernel.flop:
            launches += kernel.launches
        else:
            moved += kernel.again
            depths.add(here)
    return moved + sum(read.values()) + sum((written | unread).values()), launches + len(depths)


def work(few: list[Kernel], more: list[Kernel], images: int) -> dict[str, list]:
    """What the plan needs to know of a piece of work, from its kernels for `images` images and for twice as many.

    matrix: rows of [operations an image, bytes an image, bytes whatever the number of images], each the sum of kernels
    that are alike; eager, compiled: [bytes an image, bytes whatever the number, launches] of all the others.
    """
    rows: dict[tuple, list[int]] = {}
    for one, two in zip(few, more, strict=True):
        if one.flop:
            operations, _ = _line(one.flop, two.flop, images)
            row = operations, *_line(one.bytes - one.again, two.bytes - two.again, images)
            together = rows.setdefault(_likeness(*row), [0, 0, 0])
            together[:] = (a + b for a, b in zip(together, row, strict=True))
    found = {"matrix": sorted(rows.values(), reverse=True)}
    for how in (eager, compiled):
        (one, launches), (two, _) = how(few), how(more)
        found[how.__name__] = [*_line(one, two, images), launches]
    return found


def _line(one: int, two: int, images: int) -> tuple[int, int]:
    """Slope and height of a line, from its values at `images` and at twice as many."""
    slope = (two - one) // images
    return slope, max(0, one - slope * images)


def _likeness(operations: int, of_each: int, of_all: int) -> tuple[int, int]:
    """Kernels are alike whose operations a byte differ by less than four times, and likewise their kinds of bytes."""
    return round(math.log2((operations + 1) / (of_each + 1)) / 2), round(math.log2((of_each + 1) / (of_all + 1)) / 4)
