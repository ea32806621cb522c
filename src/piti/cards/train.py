"""One trained model: how it is trained, of what, on what."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from piti.cards.base import Card, check_range, digest
from piti.cards.baselines import BASELINES, BaselineConfig
from piti.cards.networks import EncoderConfig, EstimatorConfig, TextConfig, UNetConfig
from piti.cards.sample import SamplingConfig
from piti.registry import Registry


@dataclass(frozen=True)
class Kind:
    """One kind of model."""

    name: str
    objective: Literal["diffusion", "estimator", "baseline"]  # what it is trained by
    prior: bool = False  # one for all tasks, from captions
    upsampler: bool = False

    @property
    def role(self) -> str:
        """What a method, an estimator or another row takes it for."""
        if self.objective != "diffusion":
            return self.objective
        return "prior_" * self.prior + ("upsampler" if self.upsampler else "base")


KINDS: Registry[Kind] = Registry(
    "kind of model",
    Kind("prior_base", "diffusion", prior=True),
    Kind("prior_upsampler", "diffusion", prior=True, upsampler=True),
    Kind("base", "diffusion"),
    Kind("upsampler", "diffusion", upsampler=True),
    Kind("estimator", "estimator"),
)


def kind_of(name: str) -> Kind:
    """A kind by name. Every registered baseline is one too."""
    return KINDS[name] if name not in BASELINES else Kind(name, "baseline")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How one row of models.yaml is trained. Where each value comes from: models.yaml and config/README.md."""

    kind: Annotated[str, KINDS, BASELINES]
    trainable: Literal["all", "encoder"] = "all"
    steps: int = 0
    batch: int = 128
    lr: float = 1e-4
    weight_decay: float = 0.0
    ema_rate: float = 0.9999
    condition_dropout: float = 0.0
    noise_schedule: Literal["squaredcos_cap_v2", "linear"] = "squaredcos_cap_v2"
    diffusion_steps: int = 1000
    timestep_sampler: Literal["uniform", "loss_second_moment"] = "uniform"
    precision: Literal["fp32", "bf16"] = "fp32"  # the configuration's, where the row says none of its own
    # the upsampler's: degraded input, and losses on the prediction of x_start
    degradation: bool = False
    degradation_share: float = 1.0  # of the images; the others are only shrunk
    perceptual: Literal["", "conv2_2", "multilevel"] = ""
    perceptual_weight: float = 0.004
    adversarial: Literal["", "wgan_gp", "log_gan"] = ""
    adversarial_weight: float = 0.01
    discriminator_lr: float = 1e-5
    discriminator_width: int = 64
    clamp_x_start: bool = True  # hold the prediction to [-1, 1] before those losses
    image_losses_from: int = 100  # first step of the perceptual and adversarial losses
    void: int = 0  # label in whose colour void is painted: 0 is black; 183 is COCO's void counted as a last class
    # a base model's or a baseline's that ends when it has converged (piti.train.converge)
    converge_from: int = 0  # steps of the shortest; `steps` is then that, or 2, 4, 8 … times as many. 0: all are made
    converge_gain: float = 0.03  # of what looks at validation pairs see, over the last third: less is none
    # a baseline's
    refresh_steps: int = 50  # training batches that set the batch statistics of the EMA generator (facts 3.3)

    def __post_init__(self):
        check_range(self, steps=(0, math.inf), batch=(1, math.inf), lr=(0, math.inf), weight_decay=(0, math.inf))
        check_range(self, ema_rate=(0, 1 - 1e-9), condition_dropout=(0, 1))
        least = 21 if self.noise_schedule == "linear" else 1  # of 20 steps its last beta is 1: nothing is left
        check_range(self, diffusion_steps=(least, math.inf))
        check_range(self, void=(0, 255), image_losses_from=(0, math.inf), refresh_steps=(0, math.inf))
        check_range(self, degradation_share=(0, 1), converge_from=(0, math.inf), converge_gain=(0, 1))
        if self.converge_from and self.steps:
            doubled, rest = divmod(self.steps, self.converge_from)
            if rest or doubled & (doubled - 1):
                expected = f"converge_from ({self.converge_from}), or 2, 4, 8 … times as many"
                raise ValueError(f"steps: found {self.steps}, expected {expected}")


VALIDATION = "validation_"  # before a curve's terms of what looks at validation pairs have seen


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """What a training is looked at with: how far its pictures of other conditions are from real ones."""

    images: str  # digest of the real images, as large as its pictures
    conditions: str  # digest of their conditions
    instances: str = ""  # digest of the instance maps whose boundaries a baseline sees
    extractor: str  # whose features are compared
    weights: str  # digest of the extractor's
    network: str = ""  # digest of the estimator that reads the conditions back; empty: none is asked
    estimator: EstimatorConfig | None = None
    sampling: SamplingConfig | None = None  # of a diffusion model


@dataclass(frozen=True)
class SyntheticConfig:
    """Captioned scenes that a training draws as it sees them: from the first on, none twice, none stored."""

    seed: int
    resolution: int  # of the synthetic images, px
    style: str


@dataclass(frozen=True, kw_only=True)
class TrainCard(Card):
    """One trained model."""

    training: TrainingConfig
    seed: int
    images: str
    condition: str  # kind of its shards
    conditions: str  # digest of its shards
    image_resolution: int
    base_resolution: int
    unet: UNetConfig | None = None
    encoder: EncoderConfig | None = None
    text: TextConfig | None = None
    baseline: BaselineConfig | None = None
    estimator: EstimatorConfig | None = None
    num_classes: int = 0  # of a baseline's one-hot labels
    view: str = ""  # how a baseline sees its condition (Condition.views)
    instances: str = ""  # digest of the instance maps whose boundaries a baseline sees
    validation: ValidationConfig | None = None  # of one that ends when it has converged
    synthetic: SyntheticConfig | None = None  # in place of shards; `images` and `conditions` are then empty
    fraction: float = 1.0  # of the training pairs
    epochs: int = 0  # of a baseline, from which its steps follow
    init: str = ""
    steps_before: int = 0  # of the trainings that it goes on from, priors aside: its draws go on where theirs ended
    perceptual: str = ""  # digest of the weights behind the perceptual loss
    perceptual_format: str = ""

    def declared(self) -> "TrainCard":
        """Where epochs are declared, the steps are a count of the data: another published one trains nothing anew."""
        return replace(self, training=replace(self.training, steps=0)) if self.epochs else self

    @cached_property
    def identity(self) -> str:
        """Names the checkpoint. The number of steps is left out, so that a training can be extended, except where
        the learning rate depends on it, or the epochs are declared."""
        fixed = self.baseline and (self.baseline.decay or self.epochs)
        return digest(self if fixed else replace(self, training=replace(self.training, steps=0)))

    def checkpoint(self, weights: Path) -> Path:
        """The folder of the checkpoint that the training resumes from, beside that of its weights."""
        return weights.parent.with_name(f"checkpoint-{self.identity}")


def row_of(rows: Iterable[str], name: str) -> str | None:
    """The row of models.yaml that a training of this name is of: the longest of these with which it begins."""
    return max((row for row in rows if f"{name}-".startswith(f"{row}-")), key=len, default=None)
