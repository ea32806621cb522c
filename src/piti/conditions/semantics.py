"""Conditions as the GAN baselines take them (facts 3), made from the stored items on the training device.

For sketches they may also take PITI's own distance map: then the loader's `condition` is used as it is.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from piti.conditions import CONDITIONS


def semantics(stored: Tensor, num_classes: int, instances: Tensor | None = None) -> Tensor:
    """What a baseline's networks are given, float32 N x C x S x S, for a batch of the loader's `condition`.

    Label maps (num_classes > 0) become one-hot, with the boundaries of `instances` as a last channel where those are
    given; sketches (uint8, no classes) 0 or 1; what is a float already stays: depth and normals, distance maps.
    """
    if stored.is_floating_point():
        return stored
    if not num_classes:
        return binary(stored)
    labels = one_hot(stored, num_classes)
    return labels if instances is None else torch.cat([labels, boundary(stored, instances)], dim=1)


def stored_as(kind: str, sketch_input: str) -> Callable[[np.ndarray], np.ndarray]:
    """What the loader does to a baseline's stored items: nothing to labels and edges, for they grow on the device."""
    return np.asarray if kind == "mask" or sketch_input == "binary" else CONDITIONS[kind].encode


def one_hot(labels: Tensor, num_classes: int) -> Tensor:
    """Labels uint8 N x S x S -> float32 N x num_classes x S x S."""
    shape = (len(labels), num_classes, *labels.shape[1:])
    return torch.zeros(shape, device=labels.device).scatter_(1, labels.long()[:, None], 1.0)


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
