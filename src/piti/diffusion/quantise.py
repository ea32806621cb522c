"""The 8-bit hand-over from the base model to the upsampler."""

import torch


def truncate_to_8_bit(x: torch.Tensor) -> torch.Tensor:
    """Clamp to [-1, 1] and cut down to the 256 levels of an image, as the release does (facts 1.5: not rounded)."""
    levels = ((x.clamp(-1, 1) + 1) * 127.5).floor()
    return levels / 127.5 - 1
