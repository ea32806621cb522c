"""Stored items as channels, on the device that they are trained on (facts 3)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def one_hot(labels: Tensor, num_classes: int) -> Tensor:
    """Labels uint8 N x S x S -> float32 N x num_classes x S x S."""
    shape = (len(labels), num_classes, *labels.shape[1:])
    return torch.zeros(shape, device=labels.device).scatter_(1, labels.long()[:, None], 1.0)


def places(labels: Tensor, classes: Sequence[int]) -> Tensor:
    """Labels uint8 -> the place of each among `classes`, from 1 on; 0 for all others."""
    table = torch.zeros(256, dtype=torch.uint8)
    table[list(classes)] = torch.arange(1, 1 + len(classes), dtype=torch.uint8)
    return table.to(labels.device)[labels.int()]


def boundary(labels: Tensor, instances: Tensor | None = None) -> Tensor:
    """Where any of the four neighbours is something else: uint8 N x S x S (both) -> float32 N x 1 x S x S, 0 or 1.

    As in the release, an instance covers the labels below it (facts 3.2): whatever they are, it is one thing.
    """
    what = labels.short()
    if instances is not None:
        what = torch.where(instances > 0, 256 + instances.short(), what)  # beyond every label
    across = what[:, :, 1:] != what[:, :, :-1]
    down = what[:, 1:] != what[:, :-1]
    edge = F.pad(across, (0, 1)) | F.pad(across, (1, 0)) | F.pad(down, (0, 0, 0, 1)) | F.pad(down, (0, 0, 1, 0))
    return edge[:, None].float()


def binary(bits: Tensor) -> Tensor:
    """Edges uint8 N x S x S -> float32 N x 1 x S x S, 1 on edges."""
    return bits[:, None].float()
