"""The objective of an estimator: photographs in, their condition out."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from piti.cards import TrainCard
from piti.data.conditions import geometry
from piti.diffusion.noise import key_seed
from piti.train.devices import Place, autocast

ENCODE = {"mask": np.asarray, "geometry": geometry.decode}  # stored items -> what is to be read back


class EstimatorObjective:
    """One step of AdamW on a loss of what is read back."""

    must_not_vanish = ()

    def __init__(self, card: TrainCard, network: nn.Module, place: Place, micro_batch: int):
        self.card, self.place, self.micro_batch = card, place, micro_batch
        if place.world > 1 and place.device.type == "cuda":  # torch has no synchronised batch norm on CPUs
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        self.model = network.to(place.device, memory_format=torch.channels_last).train()
        self.modules = {"model": self.model}
        training = card.training
        adam = torch.optim.AdamW(self.model.parameters(), training.lr, weight_decay=training.weight_decay, fused=True)
        self.optimizers = {"model": adam}
        self.loss = LOSSES[card.condition]

    def update(self, batch: dict, step: int) -> dict[str, Tensor]:
        """One step on this process's part of the global batch."""
        torch.manual_seed(key_seed(self.card.seed, "dropout", step, self.place.rank))
        images, wanted = (
            batch[key].to(self.place.device, non_blocking=True).split(self.micro_batch)
            for key in ("image", "condition")
        )
        total = torch.zeros((), device=self.place.device)
        for part, target in zip(images, wanted, strict=True):
            with autocast(self.place.device, self.card.training.precision):
                found = self.model(part)
            loss = self.loss(found.float(), target) * len(part) / len(batch["image"])
            loss.backward()
            total += loss.detach()
        for parameter in self.model.parameters():
            parameter.grad = self.place.mean(parameter.grad)
        self.optimizers["model"].step()
        self.optimizers["model"].zero_grad(set_to_none=True)
        return {"loss": self.place.mean(total)}

    def exported(self, weights: dict[str, Tensor], batches: Dataset) -> dict[str, Tensor]:
        """The whole network."""
        return weights


def mask_loss(found: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy over the labelled pixels. found: N×K×S×S logits of the labels 1..K; labels: N×S×S, 0 = void."""
    losses = F.cross_entropy(found, labels.long() - 1, ignore_index=-1, reduction="sum")
    return losses / (labels > 0).sum().clamp(min=1)


def geometry_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """1 - cosine of the normals' angle, plus the absolute error of depth. Both N×4×S×S, see `geometry.decode`."""
    known, wanted = wanted.isfinite(), wanted.nan_to_num()  # a NaN would reach the gradients even through a mask
    angle = 1 - F.cosine_similarity(found[:, :3], wanted[:, :3])
    distance = (found[:, 3] - wanted[:, 3]).abs()
    return sum(
        (loss * mask).sum() / mask.sum().clamp(min=1) for loss, mask in ((angle, known[:, 0]), (distance, known[:, 3]))
    )


LOSSES = {"mask": mask_loss, "geometry": geometry_loss}
