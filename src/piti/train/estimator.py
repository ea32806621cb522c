"""The objective of an estimator: photographs in, their condition out."""

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from piti.cards import TrainCard
from piti.conditions import CONDITIONS
from piti.devices import Place, autocast
from piti.seeds import key_seed


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
        condition = CONDITIONS[card.condition]
        self.said, self.loss = condition.said, condition.estimator_loss

    def update(self, batch: dict, step: int) -> dict[str, Tensor]:
        """One step on this process's part of the global batch."""
        torch.manual_seed(key_seed(self.card.seed, "dropout", step, self.place.rank))
        images, wanted = (self.place.sent(batch[key]) for key in ("image", "condition"))
        said = self.place.sum(self.said(wanted)).clamp(min=1)  # by the whole batch, whoever sees which part of it
        total = torch.zeros((), device=self.place.device)
        for part, target in zip(images.split(self.micro_batch), wanted.split(self.micro_batch), strict=True):
            with autocast(self.place.device, self.card.training.precision):
                found = self.model(part)
            loss = (self.loss(found.float(), target) / said).sum() * self.place.world  # the mean of processes is a sum
            loss.backward()
            total += loss.detach()
        parameters = list(self.model.parameters())
        for parameter, grad in zip(parameters, self.place.mean([p.grad for p in parameters]), strict=True):
            parameter.grad = grad
        self.optimizers["model"].step()
        self.optimizers["model"].zero_grad(set_to_none=True)
        return self.place.mean_terms({"loss": total})

    def exported(self, weights: dict[str, Tensor], batches: Dataset) -> dict[str, Tensor]:
        """The whole network."""
        return weights
