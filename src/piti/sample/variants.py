"""A few test conditions in several variants: other seeds, another way of sampling. For figures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from piti.cards import SampleCard, Variant, VariantsCard
from piti.data.shards import Shards, pick
from piti.sample.diffusion import Sampler
from piti.sample.shards import write_pictures


def draw_variants(
    card: VariantsCard,
    output: Path,
    model: Path,
    upsampler: Path,
    conditions: Path,
    batch_size: int,
    device: torch.device,
) -> None:
    """Write the shards, one a variant, of pictures called ID/VARIANT. Continues where it was interrupted.

    A picture is the one that its id gets when all conditions are drawn with that seed and sampling.
    """
    stored, variants = Shards(conditions), {variant.name: variant for variant in card.variants}
    chosen = list(card.ids) or pick(stored.ids, card.images, card.seed, card.page)
    base, large = (
        Sampler(under(stage, card.variants[0]), weights, stored.kind, device)
        for stage, weights in ((card.base, model), (card.upsampler, upsampler))
    )

    def make(names: list[str]) -> np.ndarray:
        ids, variant = [name.rpartition("/")[0] for name in names], variants[names[0].rpartition("/")[2]]
        base.use(under(card.base, variant))
        large.use(under(card.upsampler, variant))
        given = stored[stored.rows(ids)]
        return large.draw(ids, given, base.draw(ids, given))

    names = [f"{i}/{variant}" for variant in variants for i in chosen]
    write_pictures(output, names, make, card.upsampler.resolution, len(chosen), batch_size)


def under(stage: SampleCard, variant: Variant) -> SampleCard:
    """The stage as a variant samples it."""
    return replace(stage, seed=variant.seed, sampling=variant.sampling)
