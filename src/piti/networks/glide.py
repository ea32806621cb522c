"""GLIDE, the text-conditioned prior (facts 2.2): a text transformer in front of the U-Net that PITI takes over."""

import torch
from torch import nn

from piti.cards import TextConfig, UNetConfig
from piti.networks.transformer import Transformer
from piti.networks.unet import Encoded, UNet


class GLIDE(UNet):
    """The base model, and with `in_channels` 6 and a `low_res` image the upsampler.

    Tokens are B x context whole numbers; where `mask` (B x context, bool) is False a position is padding. As in the
    checkpoints, the text part lies beside the U-Net's parameters, not under a name of its own. `text.width` must be
    `unet.token_width`.
    """

    def __init__(self, unet: UNetConfig, text: TextConfig):
        super().__init__(unet)
        self.token_embedding = nn.Embedding(text.vocabulary, text.width)
        self.positional_embedding = nn.Parameter(0.02 * torch.randn(text.context, text.width))
        self.padding_embedding = nn.Parameter(0.02 * torch.randn(text.context, text.width))
        self.transformer = Transformer(text.width, text.layers, text.heads)
        self.final_ln = nn.LayerNorm(text.width)

    def encode(self, tokens: torch.Tensor, mask: torch.Tensor) -> Encoded:
        """What the U-Net needs of a text; the pooled vector is the last position."""
        h = self.token_embedding(tokens) + self.positional_embedding  # B x context x width
        h = torch.where(mask[..., None], h, self.padding_embedding)
        h = self.final_ln(self.transformer(h))
        return self.encode_tokens(h, h[:, -1])

    def forward(
        self,
        x: torch.Tensor,
        timesteps: torch.Tensor,
        tokens: torch.Tensor,
        mask: torch.Tensor,
        low_res: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return self.denoise(x, timesteps, self.encode(tokens, mask), low_res)
