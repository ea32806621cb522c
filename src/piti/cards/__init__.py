"""Cards: small frozen dataclasses that say what each artefact is made of, a file for each part of the workflow."""

from piti.cards.base import Card
from piti.cards.baselines import BaselineConfig
from piti.cards.data import DownloadCard, ExtractCard, PackCard, ScenesCard, SketchCard, WeightsCard
from piti.cards.networks import EncoderConfig, EstimatorConfig, TextConfig, UNetConfig
from piti.cards.report import (
    Cell,
    Column,
    Comparison,
    Contestant,
    FigureCard,
    ReportCard,
    Strip,
    StudyCard,
    TableCard,
    TallyCard,
)
from piti.cards.sample import (
    Edit,
    EditsCard,
    GatherCard,
    GenerateCard,
    SampleCard,
    SamplingConfig,
    Variant,
    VariantsCard,
)
from piti.cards.score import AlignmentCard, ClaimCard, ClaimsCard, FeaturesCard, MetricCheckCard, Ordering, ScoreCard
from piti.cards.train import SyntheticConfig, TrainCard, TrainingConfig, ValidationConfig

__all__ = [
    "AlignmentCard",
    "BaselineConfig",
    "Card",
    "Cell",
    "ClaimCard",
    "ClaimsCard",
    "Column",
    "Comparison",
    "Contestant",
    "DownloadCard",
    "Edit",
    "EditsCard",
    "EncoderConfig",
    "EstimatorConfig",
    "ExtractCard",
    "FeaturesCard",
    "FigureCard",
    "GatherCard",
    "GenerateCard",
    "MetricCheckCard",
    "Ordering",
    "PackCard",
    "ReportCard",
    "SampleCard",
    "SamplingConfig",
    "ScenesCard",
    "ScoreCard",
    "SketchCard",
    "Strip",
    "StudyCard",
    "TableCard",
    "SyntheticConfig",
    "TallyCard",
    "TextConfig",
    "TrainCard",
    "TrainingConfig",
    "UNetConfig",
    "ValidationConfig",
    "Variant",
    "VariantsCard",
    "WeightsCard",
]
