"""PITI and GLIDE around the U-Net: full size against the official lists of names, encode once against all at once."""

import json
from pathlib import Path

import pytest
import torch

from piti.cards import EncoderConfig, TextConfig, UNetConfig
from piti.networks.condition_encoder import ConditionEncoder
from piti.networks.glide import GLIDE
from piti.networks.piti import PITI
from piti.networks.unet import UNet
from piti.networks.weights import load, strip_text
from piti.store.files import InputError

FULL = json.loads((Path(__file__).parents[2] / "golden" / "data" / "full_keys.json").read_text())
BASE = UNetConfig()
UPSAMPLER = UNetConfig(
    channel_mult=(1, 1, 2, 2, 4, 4), num_res_blocks=2, attention_resolutions=(8, 16, 32), in_channels=6
)
SMALL = UNetConfig(
    model_channels=16,
    channel_mult=(1, 2),
    num_res_blocks=1,
    attention_resolutions=(2,),
    num_head_channels=8,
    token_width=32,
)


def official(name):
    """Names and shapes; variants store only what differs from the mask model."""
    listed = {key: tuple(shape) for key, shape in FULL[name]["keys"]}
    if "keys_note" in FULL[name]:
        listed = official(name.rpartition("_")[0] + "_mask") | listed
    return listed


def shapes(module):
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}


@pytest.mark.parametrize("task, channels", [("mask", 3), ("edge", 1), ("depth", 6)])
@pytest.mark.parametrize("stage, unet, count", [("base", BASE, 338_015_302), ("upsample", UPSAMPLER, 351_345_862)])
def test_full_size(stage, unet, count, task, channels):
    with torch.device("meta"):
        model = PITI(unet, EncoderConfig(in_channels=channels))
    assert shapes(model) == official(f"piti_{stage}_{task}")
    parameters = sum(p.numel() for p in model.parameters())
    assert parameters == FULL[f"piti_{stage}_{task}"]["n_params"] == count + (channels - 3) * 32 * 49


@pytest.mark.parametrize("name, unet", [("glide_base", BASE), ("glide_upsample", UPSAMPLER)])
def test_full_size_prior_gives_the_decoder(name, unet):
    with torch.device("meta"):
        prior, decoder = GLIDE(unet, TextConfig()), UNet(unet)
    assert shapes(prior) == official(name)
    kept = strip_text(prior.state_dict(), name)
    assert set(prior.state_dict()) - set(kept) == set(FULL[name]["dropped_by_piti"])
    assert {key: tuple(value.shape) for key, value in kept.items()} == shapes(decoder)


@pytest.mark.parametrize("resolution, strides, channels", [(64, 3, 3), (64, 3, 1), (32, 2, 6), (128, 4, 3)])
def test_encoder_sizes(resolution, strides, channels):
    config = EncoderConfig(in_channels=channels, resolution=resolution, strides=strides, width=32, layers=2, heads=4)
    tokens, pooled = ConditionEncoder(config)(torch.randn(2, channels, resolution, resolution))
    assert tokens.shape == (2, (resolution >> strides) ** 2, 32) and pooled.shape == (2, 32)


def small_piti(in_channels=3):
    torch.manual_seed(0)
    unet = UNetConfig(**{**vars(SMALL), "in_channels": in_channels})
    model = PITI(unet, EncoderConfig(resolution=32, strides=3, width=32, layers=1, heads=4)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


@pytest.mark.parametrize("in_channels", [3, 6])
def test_encoding_once_is_encoding_every_time(in_channels):
    model = small_piti(in_channels)
    x, condition = torch.randn(2, 3, 16, 16), torch.rand(2, 3, 32, 32)
    low_res = torch.randn(2, 3, 4, 4) if in_channels == 6 else None
    encoded = model.encode(condition)
    for step in (999.0, 0.0):
        timesteps = torch.full((2,), step)
        torch.testing.assert_close(
            model.denoise(x, timesteps, encoded, low_res), model(x, timesteps, condition, low_res)
        )


def test_the_null_condition_of_one_image_serves_all():
    model, condition = small_piti(), torch.rand(2, 3, 32, 32)
    null = model.encode(torch.ones(1, 3, 32, 32)).map(lambda tensor: tensor.expand(2, *tensor.shape[1:]))
    both = model.encode(condition).cat(null)
    x, timesteps = torch.randn(2, 3, 16, 16), torch.tensor([5.0, 700.0])
    got = model.denoise(x.repeat(2, 1, 1, 1), timesteps.repeat(2), both)
    want = torch.cat([model(x, timesteps, condition), model(x, timesteps, torch.ones(2, 3, 32, 32))])
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_text_padding_hides_the_token():
    torch.manual_seed(0)
    model = GLIDE(SMALL, TextConfig(width=32, layers=2, heads=4, context=7, vocabulary=11)).eval()
    tokens = torch.arange(14).reshape(2, 7) % 11
    mask = torch.arange(7) < torch.tensor([[3], [7]])
    changed = torch.where(mask, tokens, (tokens + 1) % 11)
    torch.testing.assert_close(model.encode(tokens, mask), model.encode(changed, mask), rtol=0, atol=0)
    assert not torch.equal(model.encode(tokens, mask).pooled, model.encode(tokens, ~mask).pooled)
    assert model(torch.randn(2, 3, 16, 16), torch.zeros(2), tokens, mask).shape == (2, 6, 16, 16)


def test_strict_loading_names_what_is_wrong():
    source, model = small_piti().state_dict(), small_piti()
    load(model, source, "good.pt")
    bad = dict(source)
    bad["decoder.odd"] = bad.pop("encoder.cls_token")
    bad["decoder.out.2.bias"] = torch.zeros(3)
    with pytest.raises(InputError) as error:
        load(model, bad, "bad.pt")
    line = str(error.value)
    for words in ("bad.pt", "1 missing (encoder.cls_token)", "1 unexpected (decoder.odd)", "decoder.out.2.bias (3,)"):
        assert words in line
    assert "\n" not in line
    with pytest.raises(InputError, match=r"released\.pt: found no transformer"):
        strip_text(source, "released.pt")
