"""The objective of the three GAN baselines: a generator's step, then a discriminator's (facts 3).

What each step minimises is the baseline's own, see piti.baselines.contract.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.utils.data import Dataset

from piti.baselines import build
from piti.baselines.contract import VGG, Baseline
from piti.cards import TrainCard
from piti.conditions import CONDITIONS
from piti.devices import Place
from piti.seeds import generator
from piti.train.accumulate import Accumulator, Part
from piti.train.losses import Terms


class GANObjective:
    """One row's losses and its two optimizer steps. `model` is the generator."""

    must_not_vanish = ("discriminator_gradient",)

    def __init__(self, card: TrainCard, baseline: Baseline, place: Place, micro_batch: int, vgg: VGG | None = None):
        self.card, self.place = card, place
        self.accumulator = Accumulator(place, micro_batch, card.training.precision)
        self.baseline = place.network(baseline)
        self.model = self.baseline.generator
        self.modules = {"model": self.model, "discriminator": self.baseline.discriminator}
        self.optimizers = self.baseline.optimizers()
        self.rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in self.optimizers.items()}
        self.vgg = vgg.to(place.device) if vgg else None

    def update(self, batch: dict, step: int) -> Terms:
        """One step of the generator, then one of the discriminator, on this process's part of the global batch."""
        parts = self._parts(batch, self.card.steps_before + step)
        factor = self.baseline.lr_factor(step, self.card.training.steps)
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self.rates[name] * factor

        self.baseline.discriminator.requires_grad_(False)
        terms = self._step("generator", parts, self._generator_losses)
        self.baseline.discriminator.requires_grad_(True)
        return terms | self._step("discriminator", parts, self._discriminator_losses)

    def _parts(self, batch: dict, along: int) -> list[Part]:
        """What the losses need of each image, drawn for the global batch, and of the whole batch: see `Baseline`.

        along: steps of the chain of trainings, none of whose draws come twice.
        """
        size = self.card.training.batch
        drawn = self.baseline.draw(generator(self.card.seed, "gan", along), size)
        given = {key: batch[key] for key in ("image", "condition", "instances") if key in batch}
        parts = self.accumulator.parts(given | {name: value[self.place.part(size)] for name, value in drawn.items()})
        for part in parts:
            part["semantics"] = self.seen(part)
        sums = [self.baseline.batch_sums(part["semantics"]) for part in parts]
        whole = {name: sum(each[name] for each in sums) for name in sums[0]}
        if whole:
            self.place.all_reduce(list(whole.values()))
        return [part | whole for part in parts]

    def seen(self, part: Part) -> Tensor:
        """What the networks see of the conditions, N×C×S×S."""
        condition, classes = CONDITIONS[self.card.condition], self.card.baseline.classes
        return condition.semantics(part["condition"], self.card.num_classes, part.get("instances"), classes)

    def _step(self, name: str, parts: list[Part], losses) -> Terms:
        """One step of the generator or the discriminator; its terms and its gradient's norm, under its name."""

        def loss(part: Part) -> tuple[Tensor, Terms]:
            terms, fraction = losses(part), len(part["image"]) / self.card.training.batch
            return sum(terms.values()) * fraction, {term: value * fraction for term, value in terms.items()}

        terms = self.accumulator.step(self.optimizers[name], parts, loss, norm=True)
        return {f"{name}_{term}": value for term, value in terms.items()}

    def _generator_losses(self, part: Part) -> Terms:
        """Means over the part's images. Leaves the generated ones in it."""
        fake = self.baseline.generate(part["semantics"], part)
        part["fake"] = fake.detach()
        return self.baseline.generator_loss(part["semantics"], part["image"], fake, part, self.vgg)

    def _discriminator_losses(self, part: Part) -> Terms:
        fake = self.baseline.discriminator_fake(part["semantics"], part["fake"], part)
        return self.baseline.discriminator_loss(part["semantics"], part["image"], fake, part)

    def exported(self, weights: Mapping[str, Tensor], batches: Dataset) -> dict[str, Tensor]:
        """The generator. Where its weights are an EMA, the batch statistics are brought up to date first."""
        if not self.card.training.ema_rate or not any("running_mean" in name for name in weights):
            return dict(weights)
        alone = Place(self.place.device)  # the norms ask no other process, for only the first one comes here
        baseline = alone.network(build(self.card.baseline))
        baseline.generator.load_state_dict(weights)
        for step in range(self.card.training.refresh_steps):
            batch = {k: v for k, v in batches[step].items() if k in ("condition", "instances")}
            part = self.accumulator.parts(batch)[0]
            seen = self.seen(part)
            drawn = baseline.draw(generator(self.card.seed, "refresh", step), len(seen))
            with torch.no_grad():
                baseline.generate(seen, {name: value.to(self.place.device) for name, value in drawn.items()})
        return baseline.generator.state_dict()
