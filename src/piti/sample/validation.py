"""How a training goes on pairs that it does not learn from: how far its pictures are from real ones, and how well they
follow their conditions."""

from pathlib import Path
from pkgutil import resolve_name
from typing import NamedTuple

import cv2
import numpy as np
import torch

from piti.cards import AlignmentCard, GenerateCard, TrainCard
from piti.data.shards import Shards
from piti.evaluate import extract, frechet
from piti.evaluate.measure import reader
from piti.evaluate.measures import MEASURES
from piti.sample.diffusion import Sampler
from piti.sample.gan import Generator
from piti.sample.stages import stages_of


class Files(NamedTuple):
    """What a training is looked at with."""

    images: Path  # real ones, shards by their index
    conditions: Path
    weights: Path  # of the extractor
    network: Path | None = None  # an estimator's weights
    instances: Path | None = None


class Validation:
    """Call it with weights: it draws a picture for every condition, and says `distance` and each measure by name."""

    def __init__(self, card: TrainCard, files: Files, batch_size: int, device: torch.device):
        self.card, self.batch_size, self.device = card.validation, batch_size, device
        self.conditions = Shards(files.conditions, card.condition)
        self.instances = Shards(files.instances, "instances") if files.instances else None
        self.extractor = extract.load(card.validation.extractor, files.weights, device)
        self.real = extract.extract(self.extractor, Shards(files.images, "images"), batch_size)
        self.measures, self.look = [], None
        if files.network:
            self.measures = [m for m in MEASURES.values() if m.condition == card.condition and m.network == "estimator"]
            reads = AlignmentCard(
                measure=self.measures[0].name,
                images="",
                conditions="",
                min_images=0,
                estimator=card.validation.estimator,
            )
            self.look = reader(reads, files.network, device)

    def __call__(self, weights: Path) -> dict[str, float]:
        pictures = self.draw(weights)
        found = {"distance": frechet.distance(self.real, extract.extract(self.extractor, pictures, self.batch_size))}
        if self.look:
            seen = np.concatenate(
                [self.look(enlarged(part, self.conditions.resolution)) for part in self.parts(pictures)]
            )
            wanted = self.conditions[range(len(self.conditions))]
        for measure in self.measures:
            found[measure.name] = float(resolve_name(measure.total)(resolve_name(measure.compare)(seen, wanted)))
        return found

    def draw(self, weights: Path) -> np.ndarray:
        """Pictures of all conditions in their order, uint8 N x S x S x 3."""
        [(card, _)], kind = stages_of(weights, None, self.card.sampling)
        stage = (Generator if isinstance(card, GenerateCard) else Sampler)(card, weights, kind, self.device)
        drawn = []
        for rows in self.parts(range(len(self.conditions))):
            more = [self.instances[rows]] if self.instances else []
            drawn.append(stage.draw([self.conditions.ids[row] for row in rows], self.conditions[rows], *more))
        return np.concatenate(drawn)

    def parts(self, items):
        """`batch_size` of them at a time."""
        return [items[start : start + self.batch_size] for start in range(0, len(items), self.batch_size)]


def enlarged(pictures: np.ndarray, resolution: int) -> np.ndarray:
    """As large as what the estimator has learnt from; a base model's are smaller."""
    if pictures.shape[1] == resolution:
        return pictures
    return np.stack([cv2.resize(each, (resolution, resolution), interpolation=cv2.INTER_CUBIC) for each in pictures])
