"""PITI: a condition encoder in place of GLIDE's text transformer, in front of GLIDE's U-Net (paper section 3)."""

import torch
from torch import nn

from piti.cards import EncoderConfig, UNetConfig
from piti.networks.condition_encoder import ConditionEncoder
from piti.networks.unet import Encoded, UNet


class PITI(nn.Module):
    """The base model, and with `in_channels` 6 and a `low_res` image the upsampler.

    `model(x, timesteps, condition)` is `model.denoise(x, timesteps, model.encode(condition))`: training uses the
    whole, sampling encodes once and denoises many times. The null condition is a tensor of ones (facts 1.3).
    """

    def __init__(self, unet: UNetConfig, encoder: EncoderConfig):
        super().__init__()
        self.encoder = ConditionEncoder(encoder)
        self.decoder = UNet(unet)

    def encode(self, condition: torch.Tensor) -> Encoded:
        """What the decoder needs of a condition B x C x resolution x resolution in [-1, 1]."""
        return self.decoder.encode_tokens(*self.encoder(condition))

    def denoise(
        self, x: torch.Tensor, timesteps: torch.Tensor, encoded: Encoded, low_res: torch.Tensor | None = None
    ) -> torch.Tensor:
        """`UNet.denoise` of the decoder: B x 6 x H x W."""
        return self.decoder(x, timesteps, encoded, low_res)

    def forward(
        self, x: torch.Tensor, timesteps: torch.Tensor, condition: torch.Tensor, low_res: torch.Tensor | None = None
    ) -> torch.Tensor:
        return self.denoise(x, timesteps, self.encode(condition), low_res)
