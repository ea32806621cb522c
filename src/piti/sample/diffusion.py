"""Pictures from a trained diffusion model, one for every test condition; and the upsampler's pictures from those."""

from functools import partial
from pathlib import Path

import numpy as np
import torch

from piti.cards import SampleCard
from piti.conditions import CONDITIONS
from piti.data.shards import Shards
from piti.devices import number_type
from piti.diffusion import samplers
from piti.diffusion.gaussian import GaussianDiffusion
from piti.diffusion.guidance import Denoiser, guided
from piti.diffusion.quantise import truncate_to_8_bit
from piti.networks.piti import PITI
from piti.networks.weights import load, read
from piti.sample.shards import to_levels, to_range, write_pictures
from piti.seeds import ImageNoise


class Sampler:
    """A loaded model and the way it is sampled (facts 1.5): call it with ids and conditions."""

    def __init__(self, card: SampleCard, weights: Path, kind: str, device: torch.device):
        self.device, self.condition = device, CONDITIONS[kind]
        self.model = PITI(card.unet, card.encoder.with_channels(self.condition.channels))
        load(self.model, read(weights), str(weights))
        dtype = number_type(device, card.sampling.precision)  # the weights once; autocast would each step
        self.model.requires_grad_(False).eval().to(device, dtype, memory_format=torch.channels_last)
        self.use(card)

    def use(self, card: SampleCard) -> None:
        """Sample as another card of the same model and precision says, without loading it again."""
        config, self.card = card.sampling, card
        self.encode = partial(self.condition.encode, void=card.void)
        self.upsampler = bool(card.low_res)
        respacing = config.upsampler_respacing if self.upsampler else config.base_respacing
        self.diffusion = GaussianDiffusion(card.noise_schedule, card.diffusion_steps, respacing, self.device)
        self.ddim = (config.upsampler_sampler if self.upsampler else config.base_sampler) == "ddim"
        self.guidance = 0.0 if self.upsampler else config.guidance  # the upsampler is not guided
        shape = (1, self.condition.channels, card.encoder.resolution, card.encoder.resolution)
        null = torch.full(shape, float(self.condition.null), device=self.device)
        with torch.inference_mode():
            self.null = self.model.encode(null) if self.guidance else None

    @torch.inference_mode()
    def __call__(self, ids: list[str], condition: torch.Tensor, low_res: torch.Tensor | None = None) -> torch.Tensor:
        """condition: B x C x resolution x resolution, low_res: B x 3 x s x s, both in [-1, 1]. Returns B x 3 x S x S
        in [-1, 1].

        What an image gets depends on (seed, id) alone, whatever batch it is in.
        """
        config, card = self.card.sampling, self.card
        purpose = "upsample" if self.upsampler else "sample"
        noise = ImageNoise(card.seed, purpose, ids, (3, card.resolution, card.resolution), self.device)
        x = noise() * (config.upsampler_temperature if self.upsampler else 1.0)
        denoiser = self.denoiser(condition, low_res)
        if self.ddim:
            return samplers.ddim(denoiser, self.diffusion, x, noise, config.eta)
        return samplers.ancestral(denoiser, self.diffusion, x, noise)

    @torch.inference_mode()
    def denoiser(self, condition: torch.Tensor, low_res: torch.Tensor | None = None) -> Denoiser:
        """The model under these conditions, guided where the card says so, as samplers want it."""
        low_res = low_res.to(self.device) if low_res is not None else None
        encoded = self.model.encode(condition.to(self.device))
        if self.guidance:
            encoded = encoded.cat(self.null.map(lambda v: v.expand(len(condition), *v.shape[1:])))

        def denoise(x: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
            return self.model.denoise(x, timesteps, encoded, low_res)

        return guided(denoise, self.guidance, self.card.sampling.normalise) if self.guidance else denoise

    def draw(self, ids: list[str], stored: np.ndarray, low_res: np.ndarray | None = None) -> np.ndarray:
        """The same between arrays, of conditions as they are stored, low_res uint8 B x s x s x 3.

        Returns uint8 B x S x S x 3, of the base model cut, not rounded (facts 1.5).
        """
        small = None if low_res is None else to_range(low_res)
        pictures = self(ids, torch.from_numpy(self.encode(stored)), small)
        return to_levels(pictures if self.upsampler else truncate_to_8_bit(pictures))


def sample(
    card: SampleCard,
    output: Path,
    model: Path,
    conditions: Path,
    low_res: Path | None,
    batch_size: int,
    device: torch.device,
) -> None:
    """Write the shards of all pictures, and `preview.png` beside them. Continues where it was interrupted."""
    stored = Shards(conditions)
    base = Shards(low_res, "images") if low_res else None
    sampler = Sampler(card, model, stored.kind, device)

    def make(ids: list[str]) -> np.ndarray:
        return sampler.draw(ids, stored[stored.rows(ids)], base[base.rows(ids)] if base else None)

    write_pictures(output, stored.ids, make, card.resolution, card.shard_size, batch_size)
