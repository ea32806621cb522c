"""The objective of every diffusion row of models.yaml: priors, base models, upsamplers (paper 3.3; facts 1.1, 1.2)."""

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from piti.cards import TrainCard
from piti.devices import Place
from piti.diffusion.gaussian import GaussianDiffusion
from piti.diffusion.timesteps import LossSecondMomentSampler, UniformSampler
from piti.networks.glide import GLIDE
from piti.networks.patch_discriminator import PatchDiscriminator
from piti.networks.perceptual import VGGFeatures
from piti.networks.weights import strip_text
from piti.seeds import generator, key_seed
from piti.store.files import InputError
from piti.train.accumulate import Accumulator, Part
from piti.train.losses import ADVERSARIAL, PERCEPTUAL, Terms, noise_prediction

SAMPLERS = {"uniform": UniformSampler, "loss_second_moment": LossSecondMomentSampler}


class DiffusionObjective:
    """One row's loss and its optimizer step.

    `model` is what is trained and exported; `modules` is everything whose tensors belong to the checkpoint.
    """

    must_not_vanish = ()

    def __init__(
        self, card: TrainCard, model: nn.Module, place: Place, micro_batch: int, vgg: VGGFeatures | None = None
    ):
        training = card.training
        self.card, self.training, self.place = card, training, place
        self.accumulator = Accumulator(place, micro_batch, training.precision)
        self.model = place.network(model)
        if training.trainable == "encoder":
            self.model.decoder.requires_grad_(False)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        adam = torch.optim.AdamW(trained, training.lr, weight_decay=training.weight_decay, fused=True)
        self.optimizers = {"model": adam}
        self.diffusion = GaussianDiffusion(training.noise_schedule, training.diffusion_steps, device=place.device)
        self.timesteps = SAMPLERS[training.timestep_sampler](training.diffusion_steps).to(place.device)
        self.modules = {"model": self.model, "timesteps": self.timesteps}
        self.vgg = vgg.to(place.device) if vgg else None
        if training.adversarial:
            self._add_discriminator()

    def _add_discriminator(self) -> None:
        """The upsampler's, frozen but for its own step."""
        training, images = self.training, self.training.batch // self.place.world
        if images > self.accumulator.micro_batch:
            raise InputError(
                f"micro_batch: found {self.accumulator.micro_batch}, expected at least {images}: "
                "the discriminator is updated between the forward and the backward pass of a whole batch"
            )
        torch.manual_seed(key_seed(self.card.seed, "init", "discriminator"))
        self.discriminator = PatchDiscriminator(ndf=training.discriminator_width).to(self.place.device)
        self.optimizers["discriminator"] = torch.optim.Adam(
            self.discriminator.parameters(), training.discriminator_lr, (0.9, 0.999), fused=True
        )
        self.modules["discriminator"] = self.discriminator

    def update(self, batch: dict, step: int) -> Terms:
        """One step on this process's part of the global batch. Returns the mean of every loss term, on the device."""
        given = {key: batch[key] for key in ("image", "condition", "low_res") if key in batch}
        along = self.card.steps_before + step  # the chain of trainings, none of whose draws come twice
        parts = self.accumulator.parts(given | self._drawn(batch["image"].shape[1:], along))
        torch.manual_seed(key_seed(self.card.seed, "dropout", along, self.place.rank))
        terms = self.accumulator.step(self.optimizers["model"], parts, lambda part: self._loss(part, step))
        self.timesteps.update(*(self.place.gather(torch.cat([part[key] for part in parts])) for key in ("t", "loss")))
        return terms | parts[0].get("discriminator", {})

    def _drawn(self, shape: torch.Size, step: int) -> dict[str, Tensor]:
        """All that is random: drawn for the global batch, this process's part of it taken."""
        size, draw = self.training.batch, generator(self.card.seed, "diffusion", step)
        u = torch.rand(size, generator=draw)
        drawn = {
            "noise": torch.randn((size, *shape), generator=draw),
            "mix": torch.rand((size, 1, 1, 1), generator=draw),
        }
        drawn["t"], drawn["weight"] = self.timesteps.sample(self.place.sent(u))
        return {name: tensor[self.place.part(size)] for name, tensor in drawn.items()}

    def _loss(self, part: Part, step: int) -> tuple[Tensor, Terms]:
        """What a part adds to the batch's loss. Leaves each image's "loss" in it, and the "discriminator"'s terms."""
        training, x_0, condition = self.training, part["image"], part["condition"]
        y = (condition,) if condition.is_floating_point() else (condition, condition != 0)  # tokens, and what is text
        terms, predicted = noise_prediction(
            self.model, self.diffusion, x_0, y, part["t"], part["noise"], part.get("low_res")
        )
        if step >= training.image_losses_from:
            predicted = predicted.clamp(-1, 1) if training.clamp_x_start else predicted
            if training.perceptual:
                _, perceptual = PERCEPTUAL[training.perceptual]
                terms["perceptual"] = training.perceptual_weight * perceptual(self.vgg, predicted, x_0)
            if training.adversarial:
                _, adversarial = ADVERSARIAL[training.adversarial]
                part["discriminator"] = self._step_discriminator(part | {"predicted": predicted})
                terms["adversarial"] = training.adversarial_weight * adversarial(self.discriminator, predicted)
        loss = sum(terms.values())
        part["loss"] = loss.detach()

        def mean(values: Tensor) -> Tensor:  # the part's, of the whole batch, as if timesteps were drawn evenly
            return (values * part["weight"]).sum() / training.batch

        return mean(loss), {name: mean(values) for name, values in terms.items()}

    def _step_discriminator(self, part: Part) -> Terms:
        """One step on the whole of this process's batch, before the network's term sees it (facts 1.2)."""
        self.discriminator.requires_grad_(True)
        terms = self.accumulator.step(self.optimizers["discriminator"], [part], self._discriminator_loss)
        self.discriminator.requires_grad_(False)
        return terms

    def _discriminator_loss(self, part: Part) -> tuple[Tensor, Terms]:
        discriminator_loss, _ = ADVERSARIAL[self.training.adversarial]
        terms = discriminator_loss(self.discriminator, part["image"], part["predicted"], part["mix"])
        fraction = len(part["image"]) / self.training.batch
        return sum(terms.values()) * fraction, {f"discriminator_{k}": v * fraction for k, v in terms.items()}

    def exported(self, weights: dict[str, Tensor], batches: Dataset) -> dict[str, Tensor]:
        """A model whole; of a prior the decoder, which is all that PITI takes from it."""
        return strip_text(weights, "prior") if isinstance(self.model, GLIDE) else weights
