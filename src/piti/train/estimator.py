"""The objective of an estimator: real images in, their condition out."""

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from piti.cards import TrainCard
from piti.conditions import CONDITIONS
from piti.devices import Place
from piti.seeds import key_seed
from piti.store.files import InputError
from piti.train.accumulate import Accumulator, Part
from piti.train.losses import Terms


class EstimatorObjective:
    """One row's loss and its optimizer step."""

    must_not_vanish = ()

    def __init__(self, card: TrainCard, network: nn.Module, place: Place, micro_batch: int, vgg: None = None):
        training = card.training
        self.card, self.place = card, place
        self.accumulator = Accumulator(place, micro_batch, training.precision)
        self.model = place.network(network)
        self.modules = {"model": self.model}
        images = training.batch // place.world
        at_once = images // self.accumulator.count(images)  # in the smallest part
        if at_once == 1 and any(isinstance(module, nn.BatchNorm2d) for module in self.model.modules()):
            raise InputError(
                f"micro_batch: found {micro_batch} of {images} images, expected at least 2 at once: "
                "the estimator's batch norms know nothing of a single one"
            )
        adam = torch.optim.AdamW(self.model.parameters(), training.lr, weight_decay=training.weight_decay, fused=True)
        self.optimizers = {"model": adam}
        condition = CONDITIONS[card.condition]
        self.said, self.loss = condition.said, condition.estimator_loss

    def update(self, batch: dict, step: int) -> Terms:
        """One step on this process's part of the global batch."""
        torch.manual_seed(key_seed(self.card.seed, "dropout", step, self.place.rank))
        parts = self.accumulator.parts({key: batch[key] for key in ("image", "condition")})
        said = sum(self.said(part["condition"]) for part in parts)
        self.place.all_reduce([said])  # by the whole batch, whoever sees which part of it

        def loss(part: Part) -> tuple[Tensor, Terms]:
            found = self.model(part["image"]).float()
            total = (self.loss(found, part["condition"]) / said.clamp(min=1)).sum()
            return total, {"loss": total}

        return self.accumulator.step(self.optimizers["model"], parts, loss)

    def exported(self, weights: dict[str, Tensor], batches: Dataset) -> dict[str, Tensor]:
        """The whole network."""
        return weights
