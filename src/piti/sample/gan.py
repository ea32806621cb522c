"""Pictures from a baseline's generator, one for every test condition."""

from pathlib import Path

import numpy as np
import torch

from piti.baselines import build
from piti.cards import GenerateCard
from piti.conditions import CONDITIONS
from piti.data.shards import Shards
from piti.networks.weights import load, read
from piti.sample.shards import to_levels, write_pictures
from piti.seeds import generator


class Generator:
    """A loaded baseline."""

    def __init__(self, card: GenerateCard, weights: Path, kind: str, device: torch.device):
        self.device, self.condition = device, CONDITIONS[kind]
        self.baseline = build(card.baseline)
        load(self.baseline.generator, read(weights), str(weights))
        self.baseline.requires_grad_(False).eval().to(device, memory_format=torch.channels_last)
        self.use(card)

    def use(self, card: GenerateCard) -> None:
        """Draw as another card of the same model says (its seed), without loading it again."""
        self.card = card

    @torch.inference_mode()
    def draw(self, ids: list[str], stored: np.ndarray, instances: np.ndarray | None = None) -> np.ndarray:
        """stored, instances: uint8 B x resolution x resolution [x 6]. Returns uint8 B x resolution x resolution x 3.

        What an image gets depends on (seed, id) alone, whatever batch it is in.
        """
        condition = torch.from_numpy(self.condition.for_loader(stored, self.card.view)).to(self.device)
        maps = None if instances is None else torch.from_numpy(instances).to(self.device)
        noise = [self.baseline.draw(generator(self.card.seed, "generate", i), 1) for i in ids]
        noise = {key: torch.cat([each[key] for each in noise]).to(self.device) for key in noise[0]}
        semantics = self.condition.semantics(condition, self.card.num_classes, maps, classes=self.card.baseline.classes)
        return to_levels(self.baseline.generate(semantics, noise))


def generate(
    card: GenerateCard,
    output: Path,
    model: Path,
    conditions: Path,
    instances: Path | None,
    batch_size: int,
    device: torch.device,
) -> None:
    """Write the shards of all pictures, and `preview.png` beside them. Continues where it was interrupted."""
    stored = Shards(conditions)
    maps = Shards(instances, "instances") if instances else None
    baseline = Generator(card, model, stored.kind, device)

    def make(ids: list[str]) -> np.ndarray:
        return baseline.draw(ids, stored[stored.rows(ids)], maps[maps.rows(ids)] if maps else None)

    write_pictures(output, stored.ids, make, card.resolution, card.shard_size, batch_size)
