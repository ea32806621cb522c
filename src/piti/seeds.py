"""Random numbers that follow from a key alone: (seed, purpose, step), or (seed, purpose, image id)."""

import hashlib
from collections.abc import Sequence

import torch


def key_seed(*key: object) -> int:
    """A seed of 63 bits from any printable key. Of these torch's CPU generator reads the lower 32."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "little") >> 1


def generator(*key: object) -> torch.Generator:
    """A CPU generator for the key: the same numbers on every machine, whatever device uses them."""
    return torch.Generator().manual_seed(key_seed(*key))


class ImageNoise:
    """Standard normal noise of a batch of images; each image has a stream of its own, from (seed, purpose, id).

    So an image's noise does not depend on the batch or shard that it is drawn in.
    """

    def __init__(self, seed: int, purpose: str, ids: Sequence[str], shape: tuple[int, ...], device: torch.device):
        self.generators = [generator(seed, purpose, i) for i in ids]
        self.shape, self.device = shape, device

    def __call__(self, step: int | None = None) -> torch.Tensor:
        """The next draw, N x shape. Samplers ask once a step, in order; `step` is theirs and not used."""
        pinned = self.device.type == "cuda"  # else the GPU would wait at every step until the next noise is drawn
        noise = torch.empty((len(self.generators), *self.shape), pin_memory=pinned)
        for image, own in zip(noise, self.generators, strict=True):
            torch.randn(self.shape, generator=own, out=image)
        return noise.to(self.device, non_blocking=True)
