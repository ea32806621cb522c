"""Pictures from a baseline's generator, one for every test condition."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from piti.baselines import build
from piti.cards import GenerateCard
from piti.data.conditions.semantics import semantics, stored_as
from piti.data.shards import Shards
from piti.diffusion.noise import generator
from piti.networks.checkpoint import load
from piti.sample.shards import to_levels, write_pictures


def generate(
    card: GenerateCard, output: Path, model: Path, conditions: Path, instances: Path | None, batch_size: int
) -> None:
    """Write the shards of all pictures, and `preview.png` beside them. Continues where it was interrupted."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    stored = Shards(conditions)
    maps = Shards(instances, "instances") if instances else None
    baseline = build(card.gan)
    load(baseline.generator, load_file(model), str(model))
    baseline.requires_grad_(False).eval().to(device, memory_format=torch.channels_last)
    encode = stored_as(stored.kind, card.sketch_input)

    @torch.inference_mode()
    def make(ids: list[str]) -> np.ndarray:
        condition = torch.from_numpy(encode(stored[stored.rows(ids)])).to(device)
        edges = torch.from_numpy(maps[maps.rows(ids)]).to(device) if maps else None
        drawn = [baseline.draw(generator(card.seed, "generate", i), 1) for i in ids]  # an image's noise is its own
        drawn = {key: torch.cat([d[key] for d in drawn]).to(device) for key in drawn[0]}
        return to_levels(baseline.generate(semantics(condition, card.num_classes, edges), drawn))

    write_pictures(output, stored.ids, make, card.side, card.shard_size, batch_size)
