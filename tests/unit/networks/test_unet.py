"""The U-Net: shapes over configurations, and what must not matter."""

import math

import pytest
import torch
import torch.nn.functional as F

from piti.cards import UNetConfig
from piti.networks.unet import AttentionBlock, UNet, timestep_embedding
from piti.store.files import InputError

SMALL = dict(model_channels=16, channel_mult=(1, 2), num_res_blocks=1, attention_resolutions=(2,), num_head_channels=8)


def unet(seed=0, **changes):
    """A U-Net whose zero-initialised layers are random too, without dropout."""
    torch.manual_seed(seed)
    model = UNet(UNetConfig(**{**SMALL, "token_width": 24, **changes})).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def inputs(resolution=16, batch=2, channels=3, tokens=5):
    generator = torch.Generator().manual_seed(1)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    return (
        draw(batch, channels, resolution, resolution),
        torch.tensor([751.0, 3.5])[:batch],
        draw(batch, tokens, 24),
        draw(batch, 24),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"channel_mult": (1, 2, 3), "num_res_blocks": 2, "attention_resolutions": (1, 4)},
        {"channel_mult": (1, 1, 2, 2), "num_res_blocks": 3, "attention_resolutions": ()},
        {"channel_mult": (2, 3), "num_head_channels": 16},
        {"model_channels": 20, "num_head_channels": 5},
        {"patch_size": 2},
        {"out_channels": 8, "in_channels": 4},
    ],
)
def test_output_shape_and_gradients(changes):
    model = unet(**changes)
    x, timesteps, tokens, pooled = inputs(channels=changes.get("in_channels", 3))
    out = model(x, timesteps, model.encode_tokens(tokens, pooled))
    assert out.shape == (2, model.config.out_channels, 16, 16)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_a_fresh_model_answers_zero():
    model = UNet(UNetConfig(**SMALL, token_width=24))
    x, timesteps, tokens, pooled = inputs()
    assert not model(x, timesteps, model.encode_tokens(tokens, pooled)).any()


def test_attention_is_one_softmax_over_tokens_and_image():
    """Against the reference's arithmetic: heads outermost, q and k each scaled by d^(-1/4), tokens first."""
    torch.manual_seed(0)
    block = AttentionBlock(32, 32, 16, 24)
    torch.nn.init.normal_(block.proj_out.weight, std=0.1)
    x, tokens = torch.randn(2, 32, 4, 4), torch.randn(2, 5, 24)

    qkv = block.qkv(block.norm(x).flatten(2)).reshape(2 * 2, 3 * 16, 16)
    q, k, v = qkv.split(16, dim=1)
    token_k, token_v = block.encoder_kv(tokens.transpose(1, 2)).reshape(2 * 2, 2 * 16, 5).split(16, dim=1)
    k, v = torch.cat([token_k, k], dim=-1), torch.cat([token_v, v], dim=-1)
    weight = torch.einsum("bct,bcs->bts", q * 16**-0.25, k * 16**-0.25).softmax(-1)
    h = torch.einsum("bts,bcs->bct", weight, v).reshape(2, 32, 16)
    want = x + block.proj_out(h).reshape(x.shape)

    torch.testing.assert_close(block(x, *block.keys_values(tokens)), want, rtol=1e-5, atol=1e-5)


def test_memory_format_changes_nothing():
    model, (x, timesteps, tokens, pooled) = unet(), inputs()
    want = model(x, timesteps, model.encode_tokens(tokens, pooled))
    model = model.to(memory_format=torch.channels_last)
    got = model(x.to(memory_format=torch.channels_last), timesteps, model.encode_tokens(tokens, pooled))
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_encoded_is_cut_and_joined_along_the_batch():
    model, (x, timesteps, tokens, pooled) = unet(), inputs()
    both = model.encode_tokens(tokens, pooled)
    one, two = (model.encode_tokens(tokens[i : i + 1], pooled[i : i + 1]) for i in (0, 1))
    want = model(x, timesteps, both)
    torch.testing.assert_close(model(x, timesteps, one.cat(two)), want, rtol=1e-4, atol=1e-5)
    flipped = both.map(lambda tensor: tensor[[1, 0]])
    torch.testing.assert_close(model(x[[1, 0]], timesteps[[1, 0]], flipped)[[1, 0]], want, rtol=1e-4, atol=1e-5)


def test_low_res_of_any_size_is_resized_and_joined():
    model, (x, timesteps, tokens, pooled) = unet(in_channels=6), inputs()
    encoded, low_res = model.encode_tokens(tokens, pooled), torch.randn(2, 3, 4, 4)
    resized = F.interpolate(low_res, (16, 16), mode="bilinear", align_corners=False)
    torch.testing.assert_close(
        model(x, timesteps, encoded, low_res), model(torch.cat([x, resized], 1), timesteps, encoded)
    )


def test_bf16_weights_stay_near_fp32():
    model, (x, timesteps, tokens, pooled) = unet(), inputs()
    want = model(x, timesteps, model.encode_tokens(tokens, pooled))
    model = model.to(torch.bfloat16)
    encoded = model.encode_tokens(tokens.bfloat16(), pooled.bfloat16())
    got = model(x, timesteps, encoded)
    assert got.dtype == torch.float32
    assert (got - want).norm() < 0.03 * want.norm()
    model = unet()
    with torch.autocast("cpu", torch.bfloat16):
        got = model(x, timesteps, model.encode_tokens(tokens, pooled))
    assert got.dtype == torch.float32
    assert (got - want).norm() < 0.03 * want.norm()


def test_group_norm_keeps_its_statistics_in_fp32():
    """A large mean over a small spread: in bf16 the variance would drown."""
    x = (100 + torch.randn(1, 32, 64, 64, generator=torch.Generator().manual_seed(0))).bfloat16()
    got = F.group_norm(x, 1)
    want = F.group_norm(x.float(), 1)
    assert (got.float() - want).abs().max() < 0.02


@pytest.mark.parametrize(("asked", "expected"), [(32, {32, 16}), (8, {8})])
def test_a_narrow_network_may_have_fewer_groups(asked, expected):
    model = unet(model_channels=16, channel_mult=(1, 2), norm_groups=asked)
    assert {module.num_groups for module in model.modules() if isinstance(module, torch.nn.GroupNorm)} == expected


def test_a_frozen_decoder_gets_no_weight_gradients_but_passes_them_on():
    model, (x, timesteps, tokens, pooled) = unet(dropout=0.5).requires_grad_(False).train(), inputs()
    tokens.requires_grad_(), pooled.requires_grad_()
    first = model(x, timesteps, model.encode_tokens(tokens, pooled))
    first.square().mean().backward()
    assert tokens.grad.abs().sum() > 0 and pooled.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in model.parameters())
    again = model(x, timesteps, model.encode_tokens(tokens, pooled))
    assert not torch.equal(first, again), "dropout stays on in a frozen decoder (facts 1.1)"


def test_head_width_must_divide():
    with pytest.raises(InputError, match="num_head_channels: found 7"):
        UNet(UNetConfig(**{**SMALL, "num_head_channels": 7}))


def test_timestep_embedding():
    got = timestep_embedding(torch.tensor([0.0, 2.5]), 6)
    rates = [10000 ** (-i / 3) for i in range(3)]
    want = [[1, 1, 1, 0, 0, 0], [math.cos(2.5 * r) for r in rates] + [math.sin(2.5 * r) for r in rates]]
    torch.testing.assert_close(got, torch.tensor(want), rtol=1e-5, atol=1e-6)


def test_compiles_in_one_piece():
    model, (x, timesteps, tokens, pooled) = unet(), inputs()
    encoded = model.encode_tokens(tokens, pooled)
    explained = torch._dynamo.explain(model.denoise)(x, timesteps, encoded)
    assert explained.graph_break_count == 0, explained.break_reasons
