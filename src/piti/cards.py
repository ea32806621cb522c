"""The cards of the project: what each costly artefact is made of.

A data set is its name, layout, version, splits, counts used and exclusions. Weights are their digest where one is
stated, else their name. Where they lie and how they came here is `apart`: it makes nothing anew.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

from piti.card import apart, check_range, digest
from piti.cards_baselines import OASISConfig, Pix2PixHDConfig, SPADEConfig


@dataclass(frozen=True)
class UNetConfig:
    """GLIDE's U-Net (facts 2.2). The defaults are GLIDE's base model at 64 px."""

    model_channels: int = 192
    channel_mult: tuple[int, ...] = (1, 2, 3, 4)
    num_res_blocks: int = 3
    attention_resolutions: tuple[int, ...] = (2, 4, 8)  # downsampling rates that carry attention, not sides
    num_head_channels: int = 64
    in_channels: int = 3  # 6 for the upsampler: noisy image and low_res
    out_channels: int = 6  # epsilon and the learned variance
    dropout: float = 0.1
    norm_groups: int = 32  # of every group norm; a narrow layer wants fewer: a group of one channel loses its mean
    token_width: int = 512  # width of the tokens that encoder_kv and transformer_proj receive
    patch_size: int = 1  # side of the pixel-unshuffle before the first and after the last convolution


@dataclass(frozen=True)
class EncoderConfig:
    """PITI's condition encoder (facts 1.4). The defaults are the released one for masks at 256 px."""

    in_channels: int = 3  # of the condition: 3 mask, 1 sketch, 6 geometry
    side: int = 256  # side of the condition, px
    strides: int = 4  # number of stride-2 convolutions; (side >> strides) ** 2 tokens
    width: int = 512
    layers: int = 8
    heads: int = 8

    def with_channels(self, channels: int) -> "EncoderConfig":
        """The encoder for a condition of so many channels."""
        return replace(self, in_channels=channels)


@dataclass(frozen=True)
class TextConfig:
    """GLIDE's text transformer (facts 2.2)."""

    width: int = 512
    layers: int = 16
    heads: int = 8
    context: int = 128
    vocabulary: int = 50257


@dataclass(frozen=True)
class EstimatorConfig:
    """The network that reads a condition back from a picture."""

    architecture: Literal["deeplabv3_resnet50", "small_unet"] = "deeplabv3_resnet50"
    width: int = 32  # of the small U-Net's first level
    out_channels: int = 0  # set by the condition: its classes without void; 4 for geometry, normal and depth


@dataclass(frozen=True)
class DrawnConfig:
    """Captioned scenes that a training draws as it sees them: from the first on, none twice, none stored."""

    seed: int
    side: int  # px of the drawn photographs
    style: str


@dataclass(frozen=True)
class GANConfig:
    """The baseline that a card is about: exactly one of the three."""

    pix2pixhd: Pix2PixHDConfig | None = None
    spade: SPADEConfig | None = None
    oasis: OASISConfig | None = None


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
class TrainingConfig:
    """How one row of models.yaml is trained. Where each value comes from: models.yaml and config/README.md."""

    kind: Literal["prior_base", "prior_upsampler", "base", "upsampler", "pix2pixhd", "spade", "oasis", "estimator"]
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
    perceptual: Literal["", "conv2_2", "multilevel"] = ""
    perceptual_weight: float = 0.004
    adversarial: Literal["", "wgan_gp", "log_gan"] = ""
    adversarial_weight: float = 0.01
    discriminator_lr: float = 1e-5
    discriminator_width: int = 64
    clamp_x_start: bool = True  # hold the prediction to [-1, 1] before those losses
    image_losses_from: int = 100  # first step of the perceptual and adversarial losses
    void: int = (
        0  # label in whose colour void is painted: 0 is black; 183 is COCO's as a last class, SPADE's convention
    )
    # a baseline's
    refresh_steps: int = 50  # training batches that set an averaged generator's batch statistics (facts 3.3)

    def __post_init__(self):
        check_range(self, steps=(0, math.inf), batch=(1, math.inf), lr=(0, math.inf), weight_decay=(0, math.inf))
        check_range(self, ema_rate=(0, 1 - 1e-9), condition_dropout=(0, 1), diffusion_steps=(1, math.inf))
        check_range(self, void=(0, 255), image_losses_from=(0, math.inf), refresh_steps=(0, math.inf))


@dataclass(frozen=True, kw_only=True)
class Card:
    """What every card has."""

    code: str = ""  # digest of the step's code, where the preset makes that part of an artefact's identity


@dataclass(frozen=True, kw_only=True)
class ScenesCard(Card):
    """A drawn data set on disk, in the layout of a real one."""

    layout: str
    seed: int
    side: int
    style: str
    train: int
    test: int


@dataclass(frozen=True, kw_only=True)
class DownloadCard(Card):
    """One file as its publisher offers it: from a URL, or out of a Python package."""

    name: str = ""  # of the entry and file, where no digest is stated; what it is known by in the pins
    version: str = ""
    member: str = ""
    digest: str = ""  # "sha256:…"; empty: pinned on first use
    file: str = apart("")
    url: tuple[str, ...] = apart(())
    package: str = apart("")
    bytes: int | None = apart(None)


@dataclass(frozen=True, kw_only=True)
class ExtractCard(Card):
    """The extracted archives of one data set: digest of its download -> folder below the root."""

    archives: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class WeightsCard(Card):
    """Published weights in our own form."""

    format: str
    name: str = ""  # of the entry, where no digest is stated; what the file is known by in the pins
    version: str = ""
    digest: str = ""  # of the published file, where the configuration states one
    member: str = ""  # of the package that the digest is about
    path: str = apart("")  # the user's own file, if it is one
    licence: str = apart("")


@dataclass(frozen=True, kw_only=True)
class PackCard(Card):
    """One split of a data set as shards: its photographs, or what its files say about them."""

    dataset: str  # its name
    layout: str
    version: str = ""
    drawn: str = ""  # digest of the drawn data set, if it is drawn
    split: Literal["train", "test"]
    kind: Literal["images", "mask", "geometry", "caption", "instances"]
    side: int
    shrunk_side: int = 0  # photographs resized once more, for the base model (facts 1.3)
    train: int = 0  # of the folder layout alone, whose split is made of the two counts
    test: int = 0
    num_classes: int = 0
    exclude: tuple[str, ...] = ()
    depth_unit: Literal["m", "cm", "mm"] = "m"  # of the depth files, for geometry
    expected: int = apart(0)  # photographs in this split: of the folder layout at most, of others as published
    archives: tuple[str, ...] = apart(())  # "file digest" of those that state one
    shard_size: int = apart(4096)

    @property
    def limit(self) -> int | None:
        """Photographs taken at most. The layouts of published data sets have splits of their own, taken whole."""
        return self.expected if self.layout == "folder" else None


@dataclass(frozen=True, kw_only=True)
class SketchCard(Card):
    """Binarised HED edges of packed photographs (facts 5)."""

    images: str
    hed: str
    side: int
    hed_side: int
    threshold: float = 0.6
    shard_size: int = apart(4096)


@dataclass(frozen=True, kw_only=True)
class TrainCard(Card):
    """One trained model."""

    training: TrainingConfig
    seed: int
    images: str
    condition: str  # mask | sketch | geometry | caption
    conditions: str  # digest of its shards
    image_side: int
    base_side: int
    unet: UNetConfig | None = None
    encoder: EncoderConfig | None = None
    text: TextConfig | None = None
    gan: GANConfig | None = None
    estimator: EstimatorConfig | None = None
    num_classes: int = 0  # of a baseline's one-hot labels
    sketch_input: str = ""  # of a baseline: binary | distance
    instances: str = ""  # digest of the instance maps whose boundaries a baseline sees
    drawn: DrawnConfig | None = None  # in place of shards; `images` and `conditions` are then empty
    fraction: float = 1.0  # share of the training pairs
    epochs: int = 0  # of a baseline, from which its steps follow
    init: str = ""
    perceptual: str = ""  # digest of the weights behind the perceptual loss
    perceptual_format: str = ""

    def declared(self) -> "TrainCard":
        """Where epochs are declared, the steps are a count of the data: another published one trains nothing anew."""
        return replace(self, training=replace(self.training, steps=0)) if self.epochs else self

    @property
    def identity(self) -> str:
        """Names the saved state. The number of steps is left out, so that a training can be extended, except where
        the learning rate depends on it."""
        return digest(self if self.gan else replace(self, training=replace(self.training, steps=0)))


@dataclass(frozen=True, kw_only=True)
class SampleCard(Card):
    """Pictures drawn from one model for every test condition. low_res: base samples that an upsampler starts from."""

    model: str
    conditions: str
    sampling: SamplingConfig
    seed: int
    side: int  # px of the pictures
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
    side: int
    gan: GANConfig
    num_classes: int = 0
    sketch_input: str = ""
    instances: str = ""
    shard_size: int = apart(4096)


@dataclass(frozen=True, kw_only=True)
class GatherCard(Card):
    """Pictures that a method made elsewhere, one for each test image."""

    content: str  # digest of the names, sizes and times of its files
    images: str  # digest of the packed test images that they are joined to
    side: int
    shard_size: int = apart(4096)


@dataclass(frozen=True, kw_only=True)
class FeaturesCard(Card):
    """What a pretrained network sees in packed pictures."""

    images: str
    extractor: str
    weights: str


@dataclass(frozen=True, kw_only=True)
class ScoreCard(Card):
    """The distance of generated from real features."""

    real: str
    fake: str
    seed: int
    min_images: int


@dataclass(frozen=True, kw_only=True)
class AlignmentCard(Card):
    """How well pictures follow their conditions, read back from them by an estimator, sketches by HED."""

    measure: str  # a key of piti.measures.MEASURES
    images: str
    conditions: str
    network: str  # digest of its weights
    min_images: int
    estimator: EstimatorConfig | None = None
    hed_side: int = 0
    threshold: float = 0.6


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of a table: the scores behind it, one a seed, or the reason why there is none."""

    row: str
    column: str
    paper: str = "-"
    scores: tuple[str, ...] = ()  # digests, in the order of the rule's score files
    seeds: tuple[int, ...] = ()
    extractor: str = ""
    run: str = ""  # method/task/share, as a person would ask for it
    ceiling: bool = False  # the photographs' own
    selected: bool = False  # the scores are alternatives of which the best on the test set is shown
    reason: str = ""
    substitution: str = ""


@dataclass(frozen=True, kw_only=True)
class TableCard(Card):
    """A table: a grid of cells."""

    name: str
    title: str
    preset: str
    comparable: bool
    note: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a strip: the digest of its pictures, or the reason why there are none."""

    heading: str
    pictures: str = ""
    variant: str = ""  # the pictures are those with this behind their id: ID/VARIANT
    reason: str = ""
    curve: str = ""  # the curve over w that measures these pictures
    guidance: float | None = None  # their w; nothing: a level


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Some images of one task, each a line of pictures. The first column says which images there are."""

    columns: tuple[Column, ...]  # those with pictures in the order of the rule's files
    ids: tuple[str, ...] = ()  # else picked by seed
    worst: str = ""  # digest of the score whose worst images are shown


@dataclass(frozen=True, kw_only=True)
class FigureCard(Card):
    """A grid of pictures."""

    name: str
    title: str
    preset: str
    note: str
    images: int
    seed: int
    strips: tuple[Strip, ...]
    page: int = 0  # how many times as many images the seed picks before these
    wrap: int = 0  # columns a line; 0: all
    crop: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One method of the user study: the digest of its samples, or the reason why there are none."""

    method: str
    samples: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class StudyCard(Card):
    """A user study: pairs of pictures, each of one condition, by Ours and by an opponent."""

    ours: Contestant
    against: tuple[Contestant, ...]
    pairs: int  # of each comparison
    seed: int
    page: str  # digest of the page's own files; every vote carries it


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One opponent in Table 2."""

    over: str
    label: str
    paper: str


@dataclass(frozen=True, kw_only=True)
class TallyCard(Card):
    """The count of a user study's votes."""

    name: str
    title: str
    preset: str
    comparable: bool
    note: str
    ours: str  # label
    study: str
    comparisons: tuple[Comparison, ...]
    votes: str = ""  # digest of the vote files; empty: there is no folder of them
    substitution: str = ""


@dataclass(frozen=True, kw_only=True)
class MetricCheckCard(Card):
    """What the distance of distorted photographs from real ones is, extractor by extractor."""

    name: str
    title: str
    preset: str
    note: str
    reference: str = ""  # digests of packed photographs
    photographs: str = ""  # others, which are distorted
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


@dataclass(frozen=True, kw_only=True)
class ReportCard(Card):
    """The report: what it shows, and what the code is now, so that an edit makes a new one."""

    title: str
    preset: str
    note: str
    comparable: bool
    tables: tuple[str, ...]  # digests, in the order of the rule's files
    figures: tuple[str, ...]
    claims: str
    code_now: dict[str, str]  # step -> digest of its code
