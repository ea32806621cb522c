"""Training batches of captioned scenes that no file holds: each is drawn when it is its turn, and none comes twice."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from piti.cards import DrawnConfig
from piti.data import scenes
from piti.data.loader import AUGMENT, DEGRADE, to_range
from piti.data.resize import shrink
from piti.data.scenes.write import developed, named, seed_of


class DrawnBatches(torch.utils.data.Dataset):
    """What `Batches` would read of a drawn data set (layout `folder`, training split) without end, in its own order.

    side: of the photographs, px.
    shrunk_side: of the base model's, resized once more; 0 for the upsampler, which gets `low_res` (see `Batches`).
    condition_dropout: share of the captions replaced by padding.
    """

    def __init__(
        self,
        drawn: DrawnConfig,
        *,
        seed: int,
        batch_size: int,
        side: int,
        shrunk_side: int = 0,
        condition_dropout: float = 0.0,
        low_res: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None,
        rank: int = 0,
        world: int = 1,
    ):
        self.drawn, self.seed, self.batch_size = drawn, seed, batch_size
        self.side, self.shrunk_side, self.low_res = side, shrunk_side, low_res
        self.condition_dropout = condition_dropout
        share = batch_size // world
        self.places = range(rank * share, (rank + 1) * share)

    def __getitem__(self, step: int) -> dict[str, list[str] | Tensor]:
        indices = step * self.batch_size + np.array(self.places)
        made = scenes.render(seed_of(self.drawn.seed, "train"), indices, self.drawn.side, self.drawn.style)
        image = np.stack([np.asarray(developed(picture, self.side)) for picture in made.image])
        if self.shrunk_side:
            image = shrink(image, self.shrunk_side)
        tokens = made.tokens.astype(np.int64)
        chance = np.random.default_rng([self.seed, AUGMENT, step]).random(self.batch_size)[list(self.places)]
        tokens[chance < self.condition_dropout] = 0
        batch = {"ids": [named("train", int(i)) for i in indices], "image": to_range(image)}
        batch["condition"] = torch.from_numpy(tokens)
        if self.low_res is not None:
            rngs = [np.random.default_rng([self.seed, DEGRADE, step, place]) for place in self.places]
            batch["low_res"] = to_range(np.stack([self.low_res(*pair) for pair in zip(image, rngs, strict=True)]))
        return batch
