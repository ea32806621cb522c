"""PITI's network with its formulas written down one after the other, as the release computes it (facts 1.4, 2.2).

These functions walk the modules of `piti.networks` for their weights and compute in float32 with explicit attention
matrices. Nothing is kept between two steps.
"""

import torch
from torch import Tensor, nn

from piti.cards import EncoderConfig, UNetConfig
from piti.networks.piti import PITI
from piti.networks.unet import AttentionBlock, ResBlock, timestep_embedding


def model(unet: UNetConfig, encoder: EncoderConfig) -> PITI:
    """PITI with random weights, also where training starts from zero: otherwise attention would see no gradient."""
    torch.manual_seed(0)
    piti = PITI(unet, encoder)
    for parameter in piti.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return piti


def forward(piti: PITI, x: Tensor, timesteps: Tensor, condition: Tensor) -> Tensor:
    """The whole network, encoder included: B x 6 x H x W."""
    tokens, pooled = encode(piti, condition)
    unet, skips = piti.decoder, []
    embedding = unet.time_embed(timestep_embedding(timesteps, unet.config.model_channels))
    embedding = embedding + unet.transformer_proj(pooled)
    for stage in unet.input_blocks:
        x = run(stage, x, embedding, tokens)
        skips.append(x)
    x = run(unet.middle_block, x, embedding, tokens)
    for stage in unet.output_blocks:
        x = run(stage, torch.cat([x, skips.pop()], dim=1), embedding, tokens)
    return unet.out(x)


def encode(piti: PITI, condition: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens B x L x width and the class token B x width of a condition."""
    encoder = piti.encoder
    x = encoder.cnn(condition).flatten(2).transpose(1, 2)
    x = torch.cat([x, encoder.cls_token.expand(len(x), -1, -1)], dim=1)
    rows = encoder.positional_embedding
    x = x + torch.cat([rows[:, 1:], rows[:, :1]], dim=1)
    for block in encoder.transformer.resblocks:
        qkv = block.attn.c_qkv(block.ln_1(x)).unflatten(-1, (block.attn.heads, -1))  # B x L x heads x 3d
        q, k, v = qkv.movedim(1, 2).chunk(3, dim=-1)
        x = x + block.attn.c_proj(attention(q, k, v).movedim(1, 2).flatten(2))
        x = x + block.mlp(block.ln_2(x))
    x = encoder.final_ln(x)
    return x[:, :-1], x[:, -1]


def run(stage: nn.Sequential, x: Tensor, embedding: Tensor, tokens: Tensor) -> Tensor:
    """One stage of the U-Net."""
    for layer in stage:
        match layer:
            case ResBlock():
                x = residual(layer, x, embedding)
            case AttentionBlock():
                x = attend(layer, x, tokens)
            case _:
                x = layer(x)
    return x


def residual(block: ResBlock, x: Tensor, embedding: Tensor) -> Tensor:
    norm, activation, convolution = block.in_layers
    h = convolution(block.resample(activation(norm(x))))
    scale, shift = block.emb_layers(embedding)[:, :, None, None].chunk(2, dim=1)
    norm, *rest = block.out_layers
    h = norm(h) * (1 + scale) + shift
    for layer in rest:
        h = layer(h)
    return block.skip_connection(block.resample(x)) + h


def attend(block: AttentionBlock, x: Tensor, tokens: Tensor) -> Tensor:
    qkv = block.qkv(block.norm(x).flatten(2)).unflatten(1, (block.heads, -1))  # B x heads x 3d x HW
    q, k, v = qkv.transpose(2, 3).chunk(3, dim=-1)
    token_kv = block.encoder_kv(tokens.transpose(1, 2)).unflatten(1, (block.heads, -1))
    token_k, token_v = token_kv.transpose(2, 3).chunk(2, dim=-1)
    h = attention(q, torch.cat([token_k, k], dim=2), torch.cat([token_v, v], dim=2))
    return x + block.proj_out(h.transpose(2, 3).flatten(1, 2)).view(x.shape)


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q kᵀ / √d) v with the whole matrix in memory; q and k are each scaled by d^(-1/4)."""
    scale = q.shape[-1] ** -0.25
    weights = torch.einsum("bhqd,bhkd->bhqk", q * scale, k * scale).softmax(dim=-1)
    return torch.einsum("bhqk,bhkd->bhqd", weights, v)
