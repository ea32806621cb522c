"""The objective of every diffusion row of models.yaml: priors, base models, upsamplers (paper 3.3; facts 1.1, 1.2)."""

import contextlib

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset

from piti.cards import TrainCard
from piti.devices import Place, autocast
from piti.diffusion.gaussian import GaussianDiffusion
from piti.diffusion.losses import training_losses
from piti.diffusion.timesteps import LossSecondMomentSampler, UniformSampler
from piti.networks.adversarial import LOSSES
from piti.networks.glide import GLIDE
from piti.networks.patch_discriminator import PatchDiscriminator
from piti.networks.perceptual import PerceptualLoss
from piti.networks.weights import strip_text
from piti.seeds import generator, key_seed
from piti.store.files import InputError

SAMPLERS = {"uniform": UniformSampler, "loss_second_moment": LossSecondMomentSampler}


class DiffusionObjective:
    """One row's losses and its optimizer step.

    `model` is what is trained and exported; `modules` is everything whose tensors belong to the resumable state.
    """

    must_not_vanish = ()

    def __init__(
        self,
        card: TrainCard,
        model: nn.Module,
        place: Place,
        micro_batch: int,
        perceptual: PerceptualLoss | None = None,
    ):
        training = card.training
        self.card, self.training, self.place, self.micro_batch = card, training, place, micro_batch
        self.model = model.to(place.device, memory_format=torch.channels_last).train()
        if training.trainable == "encoder":
            self.model.decoder.requires_grad_(False)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        adam = torch.optim.AdamW(trained, training.lr, weight_decay=training.weight_decay, fused=True)
        self.optimizers = {"model": adam}
        self.diffusion = GaussianDiffusion(training.noise_schedule, training.diffusion_steps, device=place.device)
        self.timesteps = SAMPLERS[training.timestep_sampler](training.diffusion_steps).to(place.device)
        self.modules = {"model": self.model, "timesteps": self.timesteps}
        self.perceptual = perceptual.to(place.device) if perceptual else None
        if training.adversarial:
            if training.batch // place.world > micro_batch:
                raise InputError(
                    f"micro_batch: found {micro_batch}, expected at least {training.batch // place.world}: "
                    "the discriminator is updated between the forward and the backward pass of a whole batch"
                )
            torch.manual_seed(key_seed(card.seed, "init", "discriminator"))
            self.discriminator = PatchDiscriminator(ndf=training.discriminator_width).to(place.device)
            self.optimizers["discriminator"] = torch.optim.Adam(
                self.discriminator.parameters(), training.discriminator_lr, (0.9, 0.999), fused=True
            )
            self.modules["discriminator"] = self.discriminator
        self.network = self.model
        if place.world > 1:
            ids = [place.device.index] if place.device.type == "cuda" else None
            self.network = DistributedDataParallel(self.model, device_ids=ids, gradient_as_bucket_view=True)

    def update(self, batch: dict, step: int) -> dict[str, Tensor]:
        """One step on this process's part of the global batch. Returns the mean of every loss term, on the device."""
        place, size, draw = self.place, self.training.batch, generator(self.card.seed, "diffusion", step)
        x_start = place.sent(batch["image"])
        own = place.part(size)
        u = torch.rand(size, generator=draw)
        noise = torch.randn((size, *x_start.shape[1:]), generator=draw)[own]
        mix = torch.rand((size, 1, 1, 1), generator=draw)[own]  # of the gradient penalty
        t, weight = (values[own] for values in self.timesteps.sample(place.sent(u)))
        torch.manual_seed(key_seed(self.card.seed, "dropout", step, place.rank))

        tensors = {"x_start": x_start, "noise": noise, "t": t, "weight": weight, "mix": mix}
        tensors |= {key: batch[key] for key in ("condition", "low_res") if key in batch}
        tensors = {k: place.sent(v).split(self.micro_batch) for k, v in tensors.items()}
        parts = [dict(zip(tensors, values, strict=True)) for values in zip(*tensors.values(), strict=True)]
        terms, per_sample = {}, []
        for number, part in enumerate(parts):
            share = len(part["t"]) / len(x_start)
            last = number == len(parts) - 1
            with contextlib.nullcontext() if last or place.world == 1 else self.network.no_sync():
                losses = self._losses(part, step)
                extra = losses.pop("discriminator", {})
                total = sum(losses.values())
                ((total * part["weight"]).mean() * share).backward()
            per_sample.append(total.detach())
            for name, value in (losses | extra).items():
                terms[name] = terms.get(name, 0) + value.detach().mean() * share
        self.optimizers["model"].step()
        self.optimizers["model"].zero_grad(set_to_none=True)
        self.timesteps.update(place.gather(t), place.gather(torch.cat(per_sample)))
        return place.mean_terms(terms)

    def _losses(self, part: dict, step: int) -> dict[str, Tensor]:
        """Loss terms, weighted, one value per sample; under "discriminator" what its own step lost."""
        x_t = self.diffusion.q_sample(part["x_start"], part["t"], part["noise"])
        condition = part["condition"]
        inputs = (condition,) if condition.is_floating_point() else (condition, condition != 0)
        with autocast(self.place.device, self.training.precision):
            output = self.network(
                x_t, self.diffusion.network_timesteps(part["t"]), *inputs, low_res=part.get("low_res")
            )
        found = training_losses(self.diffusion, output.float(), part["x_start"], x_t, part["t"], part["noise"])
        losses = {"mse": found.mse, "vb": found.vb}
        if step < self.training.image_losses_from:
            return losses
        predicted = found.x_start.clamp(-1, 1) if self.training.clamp_x_start else found.x_start
        with autocast(self.place.device, self.training.precision):
            if self.perceptual:
                losses["perceptual"] = self.training.perceptual_weight * self.perceptual(predicted, part["x_start"])
            if self.training.adversarial:
                discriminator_loss, generator_loss = LOSSES[self.training.adversarial]
                self.discriminator.requires_grad_(True)
                terms = discriminator_loss(self.discriminator, part["x_start"], predicted, part["mix"])
                self._step_discriminator(sum(terms.values()))
                self.discriminator.requires_grad_(False)
                losses["adversarial"] = self.training.adversarial_weight * generator_loss(self.discriminator, predicted)
                losses["discriminator"] = {f"discriminator_{name}": value for name, value in terms.items()}
        return losses

    def _step_discriminator(self, loss: Tensor) -> None:
        """One step on this batch, before the generator's term sees it (facts 1.2). Gradients are averaged by hand:
        the double backward of the gradient penalty does not go through DistributedDataParallel."""
        parameters = list(self.discriminator.parameters())
        grads = self.place.mean(list(torch.autograd.grad(loss, parameters)))
        for parameter, grad in zip(parameters, grads, strict=True):
            parameter.grad = grad.contiguous()  # as the parameter: the fused step needs one order
        self.optimizers["discriminator"].step()

    def exported(self, weights: dict[str, Tensor], batches: Dataset) -> dict[str, Tensor]:
        """A model whole; of a prior the decoder, which is all that PITI takes from it."""
        return strip_text(weights, "prior") if isinstance(self.model, GLIDE) else weights
