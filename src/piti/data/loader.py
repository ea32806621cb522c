"""The loader: every batch follows from (seed, step) alone.

`Batches` is a map from a step to its batch, so any number of workers may prefetch and any step can be made again:

    DataLoader(batches, batch_size=None, sampler=range(start, stop), num_workers=2, persistent_workers=True)

Indices, flips and dropped conditions are drawn for the global batch; each process then reads only its own part.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from piti.data.shards import Shards
from piti.store.files import InputError

ORDER, AUGMENT, DEGRADE, CROP = range(4)  # what a generator is for; part of its seed
LowRes = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # uint8 S x S x 3 -> uint8 s x s x 3


class Batches(torch.utils.data.Dataset):
    """Training batches of b = batch_size / world pairs, by step.

    images: photographs at the model's own resolution S. The base model's small ones are shards of their own
        (piti.data.resize.shrink), because shrinking commutes with the flip.
    condition: mask, sketch or geometry, or captions; joined to the images by id. None: images only.
    indices: the rows of `images` to train on; all when not given.
    encode: stored items -> `condition`; PITI's encoding when not given. The baselines keep the stored items
        (`numpy.asarray`) and encode them on the device (piti.conditions).
    flip: mirror half of the pairs.
    condition_dropout: fraction of the conditions replaced by the null condition (ones; for captions padding).
    instances: instance maps of the same data set (uint8), joined by id.
    crop: side of a random square cut out of image, condition and instances alike; 0 for none.
    low_res: (image, generator) -> the upsampler's small input.
    steps_before: of trainings that this one goes on from, so that it sees none of their batches again.

    A batch is a dict of
        ids        list of b ids
        image      float32 b x 3 x S x S in [-1, 1]
        condition  float32 b x C x S' x S' in [-1, 1], or what `encode` makes; int64 b x L token ids for captions
        instances  uint8 b x S' x S'
        low_res    float32 b x 3 x s x s in [-1, 1]
    """

    def __init__(
        self,
        images: Shards,
        condition: Shards | None = None,
        *,
        seed: int,
        batch_size: int,
        indices: np.ndarray | None = None,
        encode: Callable[[np.ndarray], np.ndarray] | None = None,
        flip: bool = True,
        condition_dropout: float = 0.0,
        instances: Shards | None = None,
        crop: int = 0,
        low_res: LowRes | None = None,
        steps_before: int = 0,
        rank: int = 0,
        world: int = 1,
    ):
        """Join condition to images. Raises InputError where an image has no condition."""
        if flip and condition is not None and len(condition.form.shape(1)) < 2:
            raise ValueError("flip: captions say left and right; expected flip=False")
        self.images, self.condition, self.low_res = images, condition, low_res
        self.seed, self.batch_size, self.flip = seed, batch_size, flip
        self.condition_dropout = condition_dropout
        self.instances, self.crop, self.steps_before = instances, crop, steps_before
        self.rows = np.arange(len(images)) if indices is None else np.asarray(indices)
        self.ids = [images.ids[row] for row in self.rows]
        if condition is not None:
            self.condition_rows = condition.rows(self.ids)
            self.encode, self.null = encode or condition.form.encode, condition.form.null
        if instances is not None:
            self.instance_rows = instances.rows(self.ids)
        self.part = part_of(batch_size, rank, world)

    def __getitem__(self, step: int) -> dict[str, list[str] | Tensor]:
        step += self.steps_before
        chosen = self._chosen(step)
        rng = np.random.default_rng([self.seed, AUGMENT, step])
        flipped, dropped = rng.random((2, self.batch_size))[:, self.part]  # both always drawn: neither moves the other
        flipped, dropped = (flipped < 0.5) & self.flip, dropped < self.condition_dropout

        def augmented(stored: np.ndarray) -> np.ndarray:
            return self._cropped(_flip(stored, flipped), step)

        image = augmented(self.images[self.rows[chosen]])
        batch = {"ids": [self.ids[i] for i in chosen], "image": to_range(image)}
        if self.condition is not None:
            condition = self.encode(augmented(self.condition[self.condition_rows[chosen]]))
            condition[dropped] = self.null
            batch["condition"] = torch.from_numpy(condition)
        if self.instances is not None:
            batch["instances"] = torch.from_numpy(augmented(self.instances[self.instance_rows[chosen]]))
        if self.low_res is not None:
            batch["low_res"] = small(image, self.low_res, self.seed, step, self.part)
        return batch

    def _cropped(self, stored: np.ndarray, step: int) -> np.ndarray:
        """A square of side `crop` of each item, at a place that follows from (seed, step); without `crop` all of it."""
        if not self.crop:
            return stored
        spare = stored.shape[1] - self.crop + 1
        places = np.random.default_rng([self.seed, CROP, step]).integers(spare, size=(self.batch_size, 2))[self.part]
        items = (item[y : y + self.crop, x : x + self.crop] for item, (y, x) in zip(stored, places, strict=True))
        return np.stack(list(items))

    def _chosen(self, step: int) -> np.ndarray:
        """Positions in `ids` of this process's part of the batch; every epoch is a permutation of its own."""
        count = len(self.ids)
        epochs, places = np.divmod(step * self.batch_size + np.arange(self.batch_size)[self.part], count)
        pairs = zip(epochs.tolist(), places.tolist(), strict=True)
        return np.array([_order(self.seed, epoch, count)[place] for epoch, place in pairs])


def part_of(batch_size: int, rank: int, world: int) -> slice:
    """The places in the global batch of which a process reads the items."""
    if batch_size % world:
        raise InputError(f"batch: found {batch_size}, expected a multiple of the {world} processes that share it")
    part = batch_size // world
    return slice(rank * part, (rank + 1) * part)


def small(images: np.ndarray, low_res: LowRes, seed: int, step: int, part: slice) -> Tensor:
    """The upsampler's small inputs of these images, at these places in the batch of a step."""
    rngs = [np.random.default_rng([seed, DEGRADE, step, place]) for place in range(part.start, part.stop)]
    return to_range(np.stack([low_res(*pair) for pair in zip(images, rngs, strict=True)]))


def subset(count: int, fraction: float) -> np.ndarray:
    """Rows of an evenly spread part: every 4th of `count` for 0.25, every 2nd for 0.5 (facts 1.7)."""
    rows = np.floor(np.arange(count) / fraction).astype(np.int64)
    return rows[rows < count]


@lru_cache(maxsize=2)  # a batch touches two epochs at most, unless the data set is smaller than a batch
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, ORDER, epoch]).permutation(count)


def _flip(stored: np.ndarray, flipped: np.ndarray) -> np.ndarray:
    """Mirror the flagged items of N x S x S [x C], in place."""
    if flipped.any():
        stored[flipped] = stored[flipped][:, :, ::-1]
    return stored


def to_range(images: np.ndarray) -> Tensor:
    """uint8 N x S x S x 3 -> float32 N x 3 x S x S in [-1, 1]."""
    planes = torch.from_numpy(images).permute(0, 3, 1, 2)
    return planes.to(torch.float32, memory_format=torch.contiguous_format).div_(127.5).sub_(1)
