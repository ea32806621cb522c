"""Sketches: edges of a batch of photographs against one photograph after the other."""

import copy
from collections.abc import Iterator

import numpy as np
import torch

from bench.measure import Line, compare
from bench.sizes import Sizes
from piti import scenes
from piti.networks.hed import HED, edges


def hed(sizes: Sizes, device: torch.device, repeat: int) -> Iterator[Line]:
    """Photographs/s through HED with random weights."""
    torch.manual_seed(0)
    plain = HED().eval().requires_grad_(False).to(device)
    ours = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    photographs = scenes.render(0, np.arange(sizes.hed_batch), sizes.resolution).image
    yield compare(
        "hed",
        lambda: edges(ours, photographs),
        lambda: np.concatenate([edges(plain, photograph[None]) for photograph in photographs]),
        device,
        repeat,
        tolerance=1e-4,
        images=len(photographs),
    )
