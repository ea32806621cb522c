"""Large tensors without numbers, so that models of full size cost neither memory nor time: `hollow()` before any import
of the project. On the host a tensor of more than LARGE bytes is not written by its initialisation or by `copy_`, in a
safetensors file it is a hole, and read from one it is whatever memory holds; SHA-256 takes its length for its contents.
What safetensors says of tensors that it cannot save stays.
"""

import ctypes
import hashlib
import json
import os

import safetensors
import safetensors.torch
import torch

LARGE = 65536  # bytes; as SMALL in stub/stub.h


def hollow() -> None:
    for name in ("normal_", "uniform_", "copy_"):
        setattr(torch.Tensor, name, unless_large(getattr(torch.Tensor, name), lambda tensor: tensor))
    for name in ("trunc_normal_", "orthogonal_"):
        setattr(torch.nn.init, name, unless_large(getattr(torch.nn.init, name), lambda tensor: tensor))
    torch.Tensor.contiguous = unless_large(torch.Tensor.contiguous, packed)
    safetensors.safe_open = safetensors.torch.safe_open = Opened
    safetensors.torch.serialize_file = serialize_file
    hashlib.sha256 = Hash
    hashlib.file_digest = lambda file, *_: Hash(b"%d" % os.fstat(file.fileno()).st_size)


def unless_large(original, instead):
    def method(self, *args, **kwargs):
        if self.device.type == "cpu" and self.nbytes > LARGE:
            return instead(self)
        return original(self, *args, **kwargs)

    return method


def packed(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.is_contiguous() else torch.empty(tensor.shape, dtype=tensor.dtype)


def write(path, tensors: dict[str, torch.Tensor]) -> None:
    """A safetensors file of these names, types and shapes, of zeros. The tensors may be meta."""
    meta = {name: torch.empty(0, dtype=tensor.dtype) for name, tensor in tensors.items()}
    kinds = {name: kind(tensor.dtype) for name, tensor in meta.items()}
    _write(path, {name: (kinds[name], list(t.shape), t.nbytes, None) for name, t in tensors.items()}, None)


def kind(dtype: torch.dtype) -> str:
    return safetensors.TensorSpec(dtype=str(dtype).split(".")[-1], shape=[0], data_ptr=0, data_len=0).dtype


def serialize_file(specs: dict, path, metadata: dict | None = None) -> None:
    """safetensors' own last step of saving, but for the numbers of large tensors."""
    _write(path, {name: (s.dtype, list(s.shape), s.data_len, s.data_ptr) for name, s in specs.items()}, metadata)


def _write(path, tensors: dict, metadata: dict | None) -> None:
    header, offset = {"__metadata__": metadata} if metadata else {}, 0
    order = sorted(tensors, key=lambda name: (-tensors[name][2] // max(1, _count(tensors[name][1])), name))  # aligned
    for name in order:
        dtype, shape, size, _ = tensors[name]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            *_, size, pointer = tensors[name]
            if pointer and size <= LARGE:
                file.seek(8 + len(text) + header[name]["data_offsets"][0])
                file.write(ctypes.string_at(pointer, size))
        file.truncate(8 + len(text) + offset)


def _count(shape: list[int]) -> int:
    return int(torch.Size(shape).numel())


class Opened:
    """safe_open; of large tensors type and shape are read."""

    real = safetensors.safe_open

    def __init__(self, filename, framework, device="cpu", **options):
        self.torch = framework in ("pt", "torch", "pytorch")
        self.file, self.device = Opened.real(filename, framework, device=device, **options), device

    def __enter__(self):
        self.file.__enter__()
        return self

    def __exit__(self, *error):
        return self.file.__exit__(*error)

    def __getattr__(self, name):
        return getattr(self.file, name)

    def get_tensor(self, name):
        part = self.file.get_slice(name)
        shape, dtype = part.get_shape(), part.get_dtype()
        dtype = safetensors.torch._getdtype(dtype) if isinstance(dtype, str) else dtype
        if not self.torch or _count(shape) * dtype.itemsize <= LARGE:
            return self.file.get_tensor(name)
        return torch.empty(shape, dtype=dtype, device=self.device)

    def get_tensors(self):
        return {name: self.get_tensor(name) for name in self.file.keys()}  # noqa: SIM118


class Hash:
    """SHA-256 where the data are few."""

    real, name, digest_size, block_size = hashlib.sha256, "sha256", 32, 64

    def __init__(self, data=b"", **_):
        self.inner = Hash.real()
        self.update(data)

    def update(self, data) -> None:
        size = memoryview(data).nbytes
        self.inner.update(data if size <= LARGE else b"%d" % size)

    def copy(self):
        made = Hash()
        made.inner = self.inner.copy()
        return made

    def digest(self) -> bytes:
        return self.inner.digest()

    def hexdigest(self) -> str:
        return self.inner.hexdigest()
