"""The networks that a card builds, by their sizes. The defaults are the paper's at full size."""

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class UNetConfig:
    """GLIDE's U-Net (facts 2.2). The defaults are GLIDE's base model at 64 px."""

    model_channels: int = 192
    channel_mult: tuple[int, ...] = (1, 2, 3, 4)
    num_res_blocks: int = 3
    attention_resolutions: tuple[int, ...] = (2, 4, 8)  # downsampling factors that carry attention, not resolutions
    num_head_channels: int = 64
    in_channels: int = 3  # 6 for the upsampler: noisy image and low_res
    out_channels: int = 6  # epsilon and the learned variance
    dropout: float = 0.1
    norm_groups: int = 32  # of every group norm; a narrow layer wants fewer: a group of one channel loses its mean
    token_width: int = 512  # width of the tokens that encoder_kv and transformer_proj receive
    patch_size: int = 1  # side of the pixel-unshuffle before the first and after the last convolution


@dataclass(frozen=True)
class EncoderConfig:
    """PITI's condition encoder (facts 1.4). The defaults are the released one for masks at 256 px."""

    in_channels: int = 3  # of the condition: 3 mask, 1 sketch, 6 geometry
    resolution: int = 256  # resolution of the condition, px
    strides: int = 4  # number of stride-2 convolutions; (resolution >> strides) ** 2 tokens
    width: int = 512
    layers: int = 8
    heads: int = 8
    positions: Literal["normal", "sinusoids"] = "normal"  # what the positional embedding begins as

    def with_channels(self, channels: int) -> "EncoderConfig":
        """The encoder for a condition of so many channels."""
        return replace(self, in_channels=channels)


@dataclass(frozen=True)
class TextConfig:
    """GLIDE's text transformer (facts 2.2)."""

    width: int = 512
    layers: int = 16
    heads: int = 8
    context: int = 128
    vocabulary: int = 50257


@dataclass(frozen=True)
class EstimatorConfig:
    """The network that predicts a condition from a picture."""

    architecture: Literal["deeplabv3_resnet50", "small_unet"] = "deeplabv3_resnet50"
    width: int = 32  # of the small U-Net's first level
    out_channels: int = 0  # set by the condition: its classes without void; 4 for geometry, normal and depth
