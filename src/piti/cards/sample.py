"""Pictures: drawn by a diffusion model or a baseline, edited, or brought by somebody else."""

import math
from dataclasses import dataclass
from typing import Literal

from piti.cards.base import Card, apart, check_range
from piti.cards.baselines import BaselineConfig
from piti.cards.networks import EncoderConfig, UNetConfig


@dataclass(frozen=True)
class SamplingConfig:
    """How pictures are drawn from a diffusion model."""

    guidance: float = 0.3  # w of equation 7; the release's s is 1 + w. *assumed*: the release's default s is 1.3
    normalise: Literal["none", "sample", "channel"] = "sample"  # equation 8: axes of its mean and deviation
    base_sampler: Literal["ancestral", "ddim"] = "ancestral"  # the release's p_sample_loop
    upsampler_sampler: Literal["ancestral", "ddim"] = "ancestral"  # as the release; GLIDE's notebook has ddim
    eta: float = 0.0  # of DDIM
    base_respacing: str = "250"  # paper 4.1
    upsampler_respacing: str = "fast27"  # paper 4.1: 27 steps
    upsampler_temperature: float = 0.997  # facts 1.5: scale of the upsampler's first noise
    precision: Literal["fp32", "bf16"] = "fp32"  # the configuration's, where it says none of its own

    def __post_init__(self):
        check_range(self, guidance=(0, math.inf), eta=(0, 1), upsampler_temperature=(0, math.inf))


@dataclass(frozen=True, kw_only=True)
class SampleCard(Card):
    """Pictures drawn from one model for every test condition. low_res: base samples that an upsampler starts from."""

    model: str
    conditions: str
    sampling: SamplingConfig
    seed: int
    resolution: int  # px of the pictures
    unet: UNetConfig
    encoder: EncoderConfig
    noise_schedule: str
    diffusion_steps: int
    void: int = 0  # as in TrainingConfig
    low_res: str = ""
    shard_size: int = apart(4096)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to draw pictures of the same conditions. Its pictures are called ID/NAME."""

    name: str
    seed: int
    sampling: SamplingConfig


@dataclass(frozen=True, kw_only=True)
class VariantsCard(Card):
    """Pictures of a few test conditions in several variants, each as the whole test set would have them."""

    base: SampleCard  # seed and sampling are the variant's
    upsampler: SampleCard
    variants: tuple[Variant, ...]
    images: int
    seed: int  # picks the images
    page: int = 0
    ids: tuple[str, ...] = ()  # chosen images instead


@dataclass(frozen=True)
class Edit:
    """One edit of a test image's label map. It is about the largest segment of a class."""

    operation: Literal["paste", "remove", "change", "grow"]
    label: int  # the class; of `paste` in the other image, whose segment is pasted in its place
    to: int = 0  # of `change`: the class that it becomes
    by: float = 0.1  # of `grow`: how far, in sides of the picture
    image: str = ""  # id; else one that fits, picked by seed
    other: str = ""  # of `paste`: id of the other image, likewise


@dataclass(frozen=True, kw_only=True)
class EditsCard(Card):
    """Test photographs edited by their label maps: inverted under their own, drawn under the edited one."""

    base: SampleCard  # deterministic: ddim, eta 0
    upsampler: SampleCard
    edits: dict[str, Edit]
    seed: int  # picks the images


@dataclass(frozen=True, kw_only=True)
class GenerateCard(Card):
    """Pictures by a baseline's generator for every test condition."""

    model: str
    conditions: str
    seed: int
    resolution: int
    baseline: BaselineConfig
    num_classes: int = 0
    view: str = ""
    instances: str = ""
    shard_size: int = apart(4096)


@dataclass(frozen=True, kw_only=True)
class GatherCard(Card):
    """Pictures that a method made elsewhere, one for each test image."""

    content: str  # digest of the names, sizes and times of its files
    images: str  # digest of the packed test images that they are joined to
    resolution: int
    shard_size: int = apart(4096)
