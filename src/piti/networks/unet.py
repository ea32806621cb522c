"""GLIDE's U-Net (facts 2.2): residual blocks modulated by time and a pooled vector, attention that also sees tokens."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from piti.cards import UNetConfig
from piti.store.files import InputError


class Encoded(NamedTuple):
    """Tokens as the U-Net uses them: computed once per image, used at every denoising step. Batch is the first axis."""

    keys: tuple[torch.Tensor, ...]  # one per attention block, in the order of use: B x heads x L x d
    values: tuple[torch.Tensor, ...]
    pooled: torch.Tensor  # B x 4 model_channels

    def map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> "Encoded":
        """Apply `function` to every tensor: indexing, expanding, casting, moving."""
        return Encoded(tuple(map(function, self.keys)), tuple(map(function, self.values)), function(self.pooled))

    def cat(self, *others: "Encoded") -> "Encoded":
        """Concatenate along the batch."""
        keys = tuple(torch.cat(parts) for parts in zip(self.keys, *(o.keys for o in others), strict=True))
        values = tuple(torch.cat(parts) for parts in zip(self.values, *(o.values for o in others), strict=True))
        return Encoded(keys, values, torch.cat([self.pooled, *(o.pooled for o in others)]))


class UNet(nn.Module):
    """Predict epsilon and the learned variance of a noisy image, given tokens.

    Parameter names are those of GLIDE's checkpoints. Layers that GLIDE starts at zero start at zero: the second
    convolution of a residual block, the output projection of attention, the last convolution.
    """

    def __init__(self, config: UNetConfig):
        super().__init__()
        self.config = config
        widths = [config.model_channels * mult for mult in config.channel_mult]
        embed, groups = 4 * config.model_channels, config.norm_groups

        def residual(channels: int, out_channels: int, resample: str = "") -> ResBlock:
            return ResBlock(channels, out_channels, embed, groups, config.dropout, resample)

        def attention(channels: int) -> AttentionBlock:
            return AttentionBlock(channels, groups, config.num_head_channels, config.token_width)

        self.time_embed = nn.Sequential(nn.Linear(config.model_channels, embed), nn.SiLU(), nn.Linear(embed, embed))

        channels, rate = widths[0], 1
        first = nn.Conv2d(config.in_channels * config.patch_size**2, channels, 3, padding=1)
        self.input_blocks = nn.ModuleList([Stage(first)])
        skips = [channels]
        for level, width in enumerate(widths):
            for _ in range(config.num_res_blocks):
                layers = [residual(channels, width)]
                channels = width
                if rate in config.attention_resolutions:
                    layers.append(attention(channels))
                self.input_blocks.append(Stage(*layers))
                skips.append(channels)
            if level + 1 < len(widths):
                self.input_blocks.append(Stage(residual(channels, channels, "down")))
                skips.append(channels)
                rate *= 2

        self.middle_block = Stage(residual(channels, channels), attention(channels), residual(channels, channels))

        self.output_blocks = nn.ModuleList()
        for level, width in reversed(list(enumerate(widths))):
            for i in range(config.num_res_blocks + 1):
                layers = [residual(channels + skips.pop(), width)]
                channels = width
                if rate in config.attention_resolutions:
                    layers.append(attention(channels))
                if level > 0 and i == config.num_res_blocks:
                    layers.append(residual(channels, channels, "up"))
                    rate //= 2
                self.output_blocks.append(Stage(*layers))

        last = nn.Conv2d(channels, config.out_channels * config.patch_size**2, 3, padding=1)
        self.out = nn.Sequential(group_norm(channels, groups), nn.SiLU(), zero(last))
        self.transformer_proj = nn.Linear(config.token_width, embed)

    def encode_tokens(self, tokens: torch.Tensor, pooled: torch.Tensor) -> Encoded:
        """Keys and values of every attention block for `tokens` (B x L x token_width), and `pooled` projected."""
        pairs = [block.keys_values(tokens) for block in self.modules() if isinstance(block, AttentionBlock)]
        return Encoded(tuple(k for k, _ in pairs), tuple(v for _, v in pairs), self.transformer_proj(pooled))

    def denoise(
        self, x: torch.Tensor, timesteps: torch.Tensor, encoded: Encoded, low_res: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Output B x out_channels x H x W (epsilon, then variance) in the type of `x`.

        `x` is B x 3 x H x W; `timesteps` B numbers on the scale 0..999, fractions allowed; `low_res` (upsampler) is
        B x 3 x h x w and is resized bilinearly to `x`. H and W must be multiples of the U-Net's whole downsampling.
        """
        dtype = self.transformer_proj.weight.dtype
        embedding = timestep_embedding(timesteps, self.config.model_channels).to(dtype)
        embedding = self.time_embed(embedding) + encoded.pooled  # B x 4 model_channels
        context = iter(zip(encoded.keys, encoded.values, strict=True))

        h = x if low_res is None else torch.cat([x, F.interpolate(low_res, x.shape[-2:], mode="bilinear")], dim=1)
        h = F.pixel_unshuffle(h.to(dtype), self.config.patch_size)  # B x C p² x H/p x W/p
        skips = []
        for stage in self.input_blocks:
            h = stage(h, embedding, context)
            skips.append(h)
        h = self.middle_block(h, embedding, context)
        for stage in self.output_blocks:
            h = stage(torch.cat([h, skips.pop()], dim=1), embedding, context)
        h = self.out(h)
        return F.pixel_shuffle(h, self.config.patch_size).to(x.dtype)  # B x out_channels x H x W

    forward = denoise


class Stage(nn.Sequential):
    """A run of layers, each given what it needs beside the features."""

    def forward(self, h: torch.Tensor, embedding: torch.Tensor, context: Iterator) -> torch.Tensor:
        for layer in self:
            if isinstance(layer, ResBlock):
                h = layer(h, embedding)
            elif isinstance(layer, AttentionBlock):
                h = layer(h, *next(context))
            else:
                h = layer(h)
        return h


class ResBlock(nn.Module):
    """Two convolutions around a modulation norm(h) (1 + scale) + shift; resampling sits before the first one."""

    def __init__(self, channels: int, out_channels: int, embed: int, groups: int, dropout: float, resample: str = ""):
        super().__init__()
        self.resample = {"": nn.Identity(), "down": nn.AvgPool2d(2), "up": nn.Upsample(scale_factor=2)}[resample]
        self.in_layers = nn.Sequential(
            group_norm(channels, groups), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embed, 2 * out_channels))
        self.out_layers = nn.Sequential(
            group_norm(out_channels, groups),
            nn.SiLU(),
            nn.Dropout(dropout),
            zero(nn.Conv2d(out_channels, out_channels, 3, padding=1)),
        )
        self.skip_connection = nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        norm, activation, convolution = self.in_layers
        h = convolution(self.resample(activation(norm(x))))
        scale, shift = self.emb_layers(embedding)[:, :, None, None].chunk(2, dim=1)
        norm, *rest = self.out_layers
        h = torch.addcmul(shift, norm(h), 1 + scale)
        for layer in rest:
            h = layer(h)
        return self.skip_connection(self.resample(x)) + h


class AttentionBlock(nn.Module):
    """Image positions attend to [tokens, image positions] under one softmax; residual.

    The projections are 1x1 convolutions by name (Conv1d), applied as matrix products to channels-last features.
    """

    def __init__(self, channels: int, groups: int, head_channels: int, token_width: int):
        super().__init__()
        if channels % head_channels:
            raise InputError(f"num_head_channels: found {head_channels}, expected a divisor of the width {channels}")
        self.heads = channels // head_channels
        self.norm = group_norm(channels, groups)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.encoder_kv = nn.Conv1d(token_width, 2 * channels, 1)
        self.proj_out = zero(nn.Conv1d(channels, channels, 1))

    def keys_values(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of the tokens (B x L x token_width), each B x heads x L x d."""
        return self.split_heads(pointwise(self.encoder_kv, tokens)).chunk(2, dim=-1)

    def forward(self, x: torch.Tensor, token_keys: torch.Tensor, token_values: torch.Tensor) -> torch.Tensor:
        h = self.norm(x).flatten(2).transpose(1, 2)  # B x HW x C
        q, k, v = self.split_heads(pointwise(self.qkv, h)).chunk(3, dim=-1)  # B x heads x HW x d
        k = torch.cat([token_keys, k], dim=2)  # B x heads x (L + HW) x d
        v = torch.cat([token_values, v], dim=2)
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)  # B x HW x C
        return x + pointwise(self.proj_out, h).transpose(1, 2).view(x.shape)

    def split_heads(self, h: torch.Tensor) -> torch.Tensor:
        return h.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def timestep_embedding(timesteps: torch.Tensor, width: int) -> torch.Tensor:
    """Cosines, then sines, of t exp(-ln(10000) i / half) for i = 0..half-1: B x width, float32."""
    half = width // 2
    rates = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32, device=timesteps.device) / half)
    phases = timesteps.float()[:, None] * rates
    return torch.cat([phases.cos(), phases.sin()], dim=-1)


def group_norm(channels: int, groups: int) -> nn.GroupNorm:
    """So many groups, or as many of them as divide the layer. The kernels keep the statistics in float32 for bf16."""
    return nn.GroupNorm(math.gcd(groups, channels), channels)


def zero(layer: nn.Module) -> nn.Module:
    """The layer with all parameters at zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def pointwise(convolution: nn.Conv1d, h: torch.Tensor) -> torch.Tensor:
    """A 1x1 convolution over the last axis."""
    return F.linear(h, convolution.weight.squeeze(-1), convolution.bias)
