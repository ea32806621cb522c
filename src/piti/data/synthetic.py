"""Training batches of captioned scenes that no file holds: each is drawn when it is its turn, and none comes twice."""

import numpy as np
import torch
from torch import Tensor

from piti import scenes
from piti.cards import SyntheticConfig
from piti.conditions import STORED
from piti.data.loader import AUGMENT, LowRes, part_of, small, to_range
from piti.data.resize import shrink
from piti.scenes.write import developed, named, seed_of


class SyntheticBatches(torch.utils.data.Dataset):
    """What `Batches` would read of a drawn data set (layout `folder`, training split) without end, in its own order.

    resolution: of the photographs, px.
    shrunk_resolution: of the base model's, resized once more; 0 for the upsampler, which gets `low_res` (`Batches`).
    condition_dropout: fraction of the captions replaced by padding.
    """

    def __init__(
        self,
        synthetic: SyntheticConfig,
        *,
        seed: int,
        batch_size: int,
        resolution: int,
        shrunk_resolution: int = 0,
        condition_dropout: float = 0.0,
        low_res: LowRes | None = None,
        rank: int = 0,
        world: int = 1,
    ):
        self.synthetic, self.seed, self.batch_size = synthetic, seed, batch_size
        self.resolution, self.shrunk_resolution, self.low_res = resolution, shrunk_resolution, low_res
        self.condition_dropout, self.part = condition_dropout, part_of(batch_size, rank, world)

    def __getitem__(self, step: int) -> dict[str, list[str] | Tensor]:
        drawn, caption = self.synthetic, STORED["caption"]
        indices = step * self.batch_size + np.arange(self.batch_size)[self.part]
        made = scenes.render(seed_of(drawn.seed, "train"), indices, drawn.resolution, drawn.style)
        image = np.stack([np.asarray(developed(picture, self.resolution)) for picture in made.image])
        if self.shrunk_resolution:
            image = shrink(image, self.shrunk_resolution)
        condition = caption.encode(made.tokens)
        chance = np.random.default_rng([self.seed, AUGMENT, step]).random(self.batch_size)[self.part]
        condition[chance < self.condition_dropout] = caption.null
        batch = {"ids": [named("train", int(i)) for i in indices], "image": to_range(image)}
        batch["condition"] = torch.from_numpy(condition)
        if self.low_res is not None:
            batch["low_res"] = small(image, self.low_res, self.seed, step, self.part)
        return batch
