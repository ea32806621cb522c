"""Conditions as the GAN baselines take them (facts 3), made from the stored items on the training device.

For sketches they may also take PITI's own distance map: then the loader's `condition` is used as it is.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def one_hot(labels: Tensor, num_classes: int) -> Tensor:
    """Labels uint8 N x S x S -> float32 N x num_classes x S x S."""
    shape = (len(labels), num_classes, *labels.shape[1:])
    return torch.zeros(shape, device=labels.device).scatter_(1, labels.long()[:, None], 1.0)


def boundary(labels: Tensor) -> Tensor:
    """Where any of the four neighbours has another label (or instance id): float32 N x 1 x S x S, 0 or 1."""
    across = labels[:, :, 1:] != labels[:, :, :-1]
    down = labels[:, 1:] != labels[:, :-1]
    edge = F.pad(across, (0, 1)) | F.pad(across, (1, 0)) | F.pad(down, (0, 0, 0, 1)) | F.pad(down, (0, 0, 1, 0))
    return edge[:, None].float()


def binary(bits: Tensor) -> Tensor:
    """Edges uint8 N x S x S -> float32 N x 1 x S x S, 1 on edges."""
    return bits[:, None].float()
