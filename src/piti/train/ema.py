"""Exponential moving average of weights."""

from collections.abc import Iterable

import torch


@torch.no_grad()
def ema_update(target: Iterable[torch.Tensor], source: Iterable[torch.Tensor], rate: float) -> None:
    """target = rate * target + (1 - rate) * source, in place, for all tensors at once (facts 1.5: rate 0.9999)."""
    torch._foreach_lerp_(list(target), list(source), 1 - rate)
