"""The objective of an estimator: real images in, their condition out."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from piti.cards import TrainCard
from piti.conditions import geometry
from piti.devices import Place
from piti.seeds import key_seed
from piti.train.accumulate import Accumulator, Part
from piti.train.losses import Terms

ENCODE = {"mask": np.asarray, "geometry": geometry.decode}  # stored items -> what is to be predicted


class EstimatorObjective:
    """One row's loss and its optimizer step."""

    must_not_vanish = ()

    def __init__(self, card: TrainCard, network: nn.Module, place: Place, micro_batch: int):
        training = card.training
        self.card, self.place = card, place
        self.accumulator = Accumulator(place, micro_batch, training.precision)
        self.model = place.network(network)
        self.modules = {"model": self.model}
        adam = torch.optim.AdamW(self.model.parameters(), training.lr, weight_decay=training.weight_decay, fused=True)
        self.optimizers = {"model": adam}
        self.said, self.loss = SAID[card.condition], LOSSES[card.condition]

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


def mask_loss(found: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy, summed over the labelled pixels (1). found: N×K×S×S logits of the labels 1..K; labels: N×S×S."""
    return F.cross_entropy(found, labels.long() - 1, ignore_index=-1, reduction="sum")[None]


def geometry_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """1 - cosine of the normals' angle, and the absolute error of depth, each summed over the pixels that say it (2).

    Both N×4×S×S, see `geometry.decode`.
    """
    known, wanted = wanted.isfinite(), wanted.nan_to_num()  # a NaN would reach the gradients even through a mask
    angle = 1 - F.cosine_similarity(found[:, :3], wanted[:, :3])
    distance = (found[:, 3] - wanted[:, 3]).abs()
    return torch.stack([(angle * known[:, 0]).sum(), (distance * known[:, 3]).sum()])


# kind of condition -> sums of the loss's terms, and over how many pixels of a batch's conditions each goes
LOSSES = {"mask": mask_loss, "geometry": geometry_loss}
SAID = {
    "mask": lambda labels: (labels > 0).sum()[None],
    "geometry": lambda wanted: wanted[:, ::3].isfinite().sum(dim=(0, 2, 3)),
}
