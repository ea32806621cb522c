"""Extractors with small or randomly filled weights: sizes, preprocessing, strictness; nothing is ever fetched."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from piti.cards import FeaturesCard
from piti.data import shards
from piti.data.resize import shrink
from piti.evaluate import extract, feature_networks
from piti.evaluate.features import read_features
from piti.steps import extract_features
from piti.store.files import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), np.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of weights for each extractor, of the right names and shapes (CLIP made small by `small_clip`)."""
    import timm

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    save_file(timm.create_model("tf_efficientnet_lite0").state_dict(), folder / "efficientnet_lite0")
    widths, vgg = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512], {}
    places = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    for place, a, b in zip(places, widths[:-1], widths[1:], strict=True):
        vgg |= {f"features.{place}.weight": torch.randn(b, a, 3, 3) * 0.1, f"features.{place}.bias": torch.zeros(b)}
    save_file(vgg, folder / "vgg16")
    torch.jit.script(_Inception()).save(folder / "inception")
    return folder


class _Inception(nn.Module):
    """What the published TorchScript offers: `layers`, from normalised pixels to 2048 pooled features."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 2048, 1, bias=False))
        nn.init.ones_(self.layers[1].weight)

    def forward(self, x):
        return self.layers(x)


@pytest.fixture
def small_clip(monkeypatch, tmp_path, weights):
    import open_clip

    vision = {"image_size": 224, "layers": 1, "width": 64, "patch_size": 32, "head_width": 32}
    text = {"context_length": 8, "vocab_size": 16, "width": 32, "heads": 2, "layers": 1}
    config = {"embed_dim": 512, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text}
    (tmp_path / "small-quickgelu.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path)
    monkeypatch.setattr(feature_networks, "CLIP_MODEL", "small-quickgelu")
    model = open_clip.create_model("small-quickgelu", load_weights=False)
    save_file(model.state_dict(), weights / "clip_vit_b32")
    return model.eval()


@pytest.mark.parametrize("name", ["inception", "efficientnet_lite0", "vgg16"])
def test_features_have_the_stated_width_and_do_not_depend_on_the_batch(weights, name):
    extractor = extract.load(name, weights / name)
    whole = extract.extract(extractor, IMAGES)
    assert whole.shape == (3, extractor.spec.width) and whole.dtype == np.float32
    assert np.isfinite(whole).all() and np.ptp(whole, axis=0).any()
    np.testing.assert_allclose(extract.extract(extractor, IMAGES, batch_size=2), whole, rtol=1e-4, atol=1e-5)


def test_pictures_are_made_small_as_a_base_models_targets_are_and_their_features_say_so(weights, tmp_path):
    shards.write(tmp_path / "images", "images", ["a", "b", "c"], lambda ids: IMAGES, 3, 40)
    extractor, card = extract.load("vgg16", weights / "vgg16"), FeaturesCard(images="", extractor="vgg16", weights="")
    found = {}
    for side in (0, 20):
        output = tmp_path / f"{side}/features.safetensors"
        output.parent.mkdir()
        seen = replace(card, resolution=side)
        extract_features.run(seen, output, tmp_path / "images/index.json", weights / "vgg16", gpus=0, sample_batch=2)
        found[side] = read_features(output)
    np.testing.assert_allclose(found[20].values, extractor(shrink(IMAGES, 20)), rtol=1e-4, atol=1e-5)
    assert not np.allclose(found[20].values, found[0].values, rtol=0.1)
    assert found[0].spec == extractor.spec != found[20].spec  # so nobody compares them


def test_inception_receives_minus_one_to_one(weights):
    """Its stand-in adds up the three channels' means."""
    flat = np.full((1, 20, 20, 3), (0, 128, 192), np.uint8)
    features = extract.load("inception", weights / "inception")(flat)
    np.testing.assert_allclose(features, -1 + 0 + 0.5, atol=1e-6)


def test_clip_equals_its_own_preprocessing(weights, small_clip):
    from open_clip.transform import image_transform

    extractor = extract.load("clip_vit_b32", weights / "clip_vit_b32")
    transform = image_transform(224, is_train=False, resize_mode="shortest", interpolation="bicubic")
    with torch.no_grad():
        expected = small_clip.encode_image(torch.stack([transform(Image.fromarray(i)) for i in IMAGES]))
    np.testing.assert_allclose(extractor(IMAGES), expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(np.linalg.norm(expected, axis=1), 1)  # not normalised


@pytest.mark.parametrize("resolution", [17, 40, 75])
def test_bicubic_float_is_pillow_without_rounding(resolution):
    got = extract.bicubic_float(torch.from_numpy(IMAGES).permute(0, 3, 1, 2), resolution)
    for channel in range(3):
        plane = Image.fromarray(IMAGES[1, :, :, channel].astype(np.float32))
        expected = np.asarray(plane.resize((resolution, resolution), Image.Resampling.BICUBIC)).clip(0, 255)
        np.testing.assert_allclose(got[1, channel], expected, atol=1e-3)


def test_refuses_wrong_weights(weights, tmp_path):
    with pytest.raises(InputError, match=r"nearest valid key: inception"):
        extract.load("inceptoin", weights / "inception")
    with pytest.raises(InputError, match=r"none: no such file, expected the weights of vgg16"):
        extract.load("vgg16", tmp_path / "none")
    with pytest.raises(InputError, match=r"vgg16.*missing"):
        extract.load("efficientnet_lite0", weights / "vgg16")
    (tmp_path / "broken").write_bytes(b"12345")
    for name in ("inception", "vgg16"):
        with pytest.raises(InputError, match=r"broken: found no (readable weights|whole safetensors file)"):
            extract.load(name, tmp_path / "broken")
    torch.jit.script(nn.Flatten()).save(tmp_path / "other")
    with pytest.raises(
        InputError, match=r"other: found no readable weights \(.*'layers'\), expected those of inception"
    ):
        extract.load("inception", tmp_path / "other")


def test_the_resize_is_clean_fid_s():
    """clean-fid's own resizer, mode "clean", at Inception's side."""
    from cleanfid.resize import build_resizer

    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    theirs = build_resizer("clean")(image)
    ours = extract.bicubic_float(torch.from_numpy(image).permute(2, 0, 1)[None], 299)[0].permute(1, 2, 0).numpy()
    assert np.abs(ours - theirs).max() < 1e-3
