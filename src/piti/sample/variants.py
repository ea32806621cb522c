"""A few test conditions in several variants: other seeds, another way of sampling. For figures."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from piti.cards import VariantsCard
from piti.data.conditions import CONDITIONS
from piti.data.shards import Shards, pick
from piti.diffusion.quantise import truncate_to_8_bit
from piti.sample.diffusion import Sampler
from piti.sample.shards import to_levels, to_range, write_pictures


def draw_variants(
    card: VariantsCard, output: Path, model: Path, upsampler: Path, conditions: Path, batch_size: int
) -> None:
    """Write the shards, one a variant, of pictures called ID/VARIANT. Continues where it was interrupted.

    A picture is the one that its id gets when all conditions are drawn with that seed and sampling.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    stored, variants = Shards(conditions), {variant.name: variant for variant in card.variants}
    condition = CONDITIONS[stored.kind]
    chosen = list(card.ids) or pick(stored.ids, card.images, card.seed, card.page)

    @lru_cache(maxsize=1)
    def samplers(name: str) -> tuple[Sampler, Sampler]:
        own = {"seed": variants[name].seed, "sampling": variants[name].sampling}
        pairs = ((card.base, model), (card.upsampler, upsampler))
        return tuple(Sampler(replace(stage, **own), weights, condition.channels, device) for stage, weights in pairs)

    def make(names: list[str]) -> np.ndarray:
        ids, variant = [name.rpartition("/")[0] for name in names], names[0].rpartition("/")[2]
        base, large = samplers(variant)
        encoded = torch.from_numpy(condition.encode(stored[stored.rows(ids)]))
        low_res = to_levels(truncate_to_8_bit(base(ids, encoded)))
        return to_levels(large(ids, encoded, to_range(low_res)))

    names = [f"{i}/{variant}" for variant in variants for i in chosen]
    write_pictures(output, names, make, card.upsampler.side, len(chosen), batch_size)
