"""The objective of the three GAN baselines: a generator's step, then a discriminator's (facts 3)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from piti.baselines import build
from piti.baselines.contract import VGG, Baseline
from piti.cards import TrainCard
from piti.conditions import CONDITIONS
from piti.devices import Place, autocast
from piti.seeds import generator


class GANObjective:
    """One row's losses and its two optimizer steps. `model` is the generator."""

    must_not_vanish = ("discriminator_gradient",)

    def __init__(self, card: TrainCard, baseline: Baseline, place: Place, micro_batch: int, vgg: VGG | None):
        self.card, self.place, self.micro_batch = card, place, micro_batch
        self.semantics = CONDITIONS[card.condition].semantics
        baseline.initialise(generator(card.seed, "init", card.training.kind))
        if place.world > 1 and place.device.type == "cuda":  # torch has no synchronised batch norm on CPUs
            baseline = nn.SyncBatchNorm.convert_sync_batchnorm(baseline)
        self.baseline = baseline.to(place.device, memory_format=torch.channels_last).train()
        self.model = self.baseline.generator
        self.modules = {"model": self.model, "discriminator": self.baseline.discriminator}
        self.optimizers = self.baseline.optimizers()
        self.rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in self.optimizers.items()}
        self.vgg = vgg.to(place.device) if vgg else None

    def update(self, batch: dict, step: int) -> dict[str, Tensor]:
        """One step of the generator, then one of the discriminator, on this process's part of the global batch."""
        training, place = self.card.training, self.place
        drawn = self.baseline.draw(generator(self.card.seed, "gan", step), training.batch)
        drawn = {name: value[place.part(training.batch)] for name, value in drawn.items()}
        tensors = {key: batch[key] for key in ("image", "condition", "instances") if key in batch} | drawn
        tensors = {k: place.sent(v).split(self.micro_batch) for k, v in tensors.items()}
        parts = [dict(zip(tensors, values, strict=True)) for values in zip(*tensors.values(), strict=True)]
        for part in parts:
            part["semantics"] = self.semantics(part["condition"], self.card.num_classes, part.get("instances"))
        sums = [self.baseline.batch_sums(part["semantics"]) for part in parts]
        whole = {name: place.sum(sum(each[name] for each in sums)) for name in sums[0]}
        for part in parts:
            part |= whole
        factor = self.baseline.lr_factor(step, training.steps)
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self.rates[name] * factor

        self.baseline.discriminator.requires_grad_(False)
        terms = self._step("generator", parts, self._generator_losses)
        self.baseline.discriminator.requires_grad_(True)
        terms |= self._step("discriminator", parts, self._discriminator_losses)
        return place.mean_terms(terms)

    def _generator_losses(self, part: dict) -> dict[str, Tensor]:
        part["fake"] = self.baseline.generate(part["semantics"], part)
        losses = self.baseline.generator_loss(part["semantics"], part["image"], part["fake"], part, self.vgg)
        part["fake"] = part["fake"].detach()
        return losses

    def _discriminator_losses(self, part: dict) -> dict[str, Tensor]:
        fake = self.baseline.discriminator_fake(part["semantics"], part["fake"], part)
        return self.baseline.discriminator_loss(part["semantics"], part["image"], fake, part)

    def _step(self, name: str, parts: list[dict], losses) -> dict[str, Tensor]:
        """Accumulate over the parts, average over processes, one optimizer step. Returns terms and gradient norm."""
        optimizer, total = self.optimizers[name], sum(len(part["image"]) for part in parts)
        terms: dict[str, Tensor] = {}
        for part in parts:
            share = len(part["image"]) / total
            with autocast(self.place.device, self.card.training.precision):
                found = losses(part)
            (sum(found.values()) * share).backward()
            for term, value in found.items():
                key = f"{name}_{term}"
                terms[key] = terms.get(key, 0) + value.detach() * share
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        grads = self.place.mean([p.grad for p in parameters])
        for parameter, grad in zip(parameters, grads, strict=True):
            parameter.grad = grad
        norms = torch._foreach_norm(grads)
        terms[f"{name}_gradient"] = torch.linalg.vector_norm(torch.stack(norms))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return terms

    def exported(self, weights: Mapping[str, Tensor], batches: Dataset) -> dict[str, Tensor]:
        """The generator. Where its weights are an average, the batch statistics are brought up to date first."""
        if not self.card.training.ema_rate or not any("running_mean" in name for name in weights):
            return dict(weights)
        averaged = build(self.card.baseline)  # anew: its norms ask no other process, for only the first one comes here
        averaged.to(self.place.device, memory_format=torch.channels_last).train()
        averaged.generator.load_state_dict(weights)
        for step in range(self.card.training.refresh_steps):
            batch = {k: v[: self.micro_batch] for k, v in batches[step].items() if k in ("condition", "instances")}
            part = {name: tensor.to(self.place.device) for name, tensor in batch.items()}
            seen = self.semantics(part["condition"], self.card.num_classes, part.get("instances"))
            drawn = averaged.draw(generator(self.card.seed, "refresh", step), len(seen))
            with torch.no_grad():
                averaged.generate(seen, {name: value.to(self.place.device) for name, value in drawn.items()})
        return averaged.generator.state_dict()
