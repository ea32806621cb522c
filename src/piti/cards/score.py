"""What is measured of pictures, and what is concluded from it."""

from dataclasses import dataclass

from piti.cards.base import Card
from piti.cards.networks import EstimatorConfig


@dataclass(frozen=True, kw_only=True)
class FeaturesCard(Card):
    """What a pretrained network sees in packed pictures."""

    images: str
    extractor: str
    weights: str
    resolution: int = 0  # px, to which they are made small before; 0: as they are


@dataclass(frozen=True, kw_only=True)
class ScoreCard(Card):
    """The distance of generated from real features."""

    real: str
    fake: str
    min_images: int

    @property
    def reference(self) -> str:
        """What a score is measured against: those of one column share it."""
        return self.real


@dataclass(frozen=True, kw_only=True)
class AlignmentCard(Card):
    """How well pictures follow their conditions, which an estimator predicts from them (HED: sketches)."""

    measure: str  # a key of piti.evaluate.measures.MEASURES
    images: str
    conditions: str
    min_images: int
    network: str = ""  # digest of the weights of what predicts, if it has any
    estimator: EstimatorConfig | None = None
    hed_resolution: int = 0
    threshold: float = 0.6

    @property
    def reference(self) -> str:
        """As a distance's."""
        return self.conditions


@dataclass(frozen=True, kw_only=True)
class MetricCheckCard(Card):
    """The distance of distorted real images from other real images, by each extractor."""

    name: str
    title: str
    preset: str
    note: str
    reference: str = ""  # digest of the shards of the real test images
    real_images: str = ""  # likewise, of the real training images, which are distorted
    extractors: dict[str, str]  # metric -> extractor
    weights: tuple[str, ...] = ()  # digests, in that order
    strengths: tuple[float, ...]
    seed: int
    reason: str = ""  # why it cannot be made


@dataclass(frozen=True, kw_only=True)
class Ordering:
    """Two runs of which one should score better on a task: their scores, one a seed, or why there are none."""

    better: str  # labels
    than: str
    task: str
    measure: str  # as column heads say it
    better_scores: tuple[str, ...] = ()  # digests, in the order of the rule's files
    than_scores: tuple[str, ...] = ()
    equal_steps: bool = False  # it is about trainings of as many steps, and they are: one not converged can lose
    by_rule: bool = False  # trainings behind these end when they have converged
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ClaimCard(Card):
    """One ordering that the paper states, on all tasks that it states it for."""

    name: str
    text: str
    orderings: tuple[Ordering, ...]


@dataclass(frozen=True, kw_only=True)
class ClaimsCard(Card):
    """All orderings that the paper states."""

    claims: tuple[ClaimCard, ...]
    no_verdict: str = ""  # why all are undecided, whatever the scores
