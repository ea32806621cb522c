"""What may stand in config/*.yaml: every key with its type, default and meaning.

A name is text whose type says where it is known: `Annotated[str, "weights"]` names an entry of the section `weights`,
a registry or a tuple of words one of those; empty is none. `piti.config.check` looks them all up.

The editors' schema in config/schemas is made of these dataclasses too (`piti.config.schema`).
"""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from pkgutil import iter_modules
from typing import Annotated, Literal

from piti import steps
from piti.cards import (
    BaselineConfig,
    Edit,
    EncoderConfig,
    EstimatorConfig,
    SamplingConfig,
    TextConfig,
    TrainingConfig,
    UNetConfig,
)
from piti.cards.base import check_range
from piti.cards.baselines import BASELINES
from piti.conditions import CONDITIONS
from piti.datasets.layouts import LAYOUTS
from piti.evaluate.extractors import EXTRACTORS
from piti.evaluate.measures import MEASURES

SHOWN = {"condition": "Condition", "real_image": "GT", "low_res": "Low resolution"}  # columns beside methods

Weight = Annotated[str, "weights"]
DatasetName = Annotated[str, "datasets"]
ByDataset = Annotated[str, "datasets", ("default",)]  # default: all that are not named
Row = Annotated[str, "models"]
TaskName = Annotated[str, "tasks"]
MethodName = Annotated[str, "methods"]
Column = Annotated[str, "methods", SHOWN]
Metric = Annotated[str, "extractors", MEASURES]
ConditionName = Annotated[str, CONDITIONS]
StepName = Annotated[str, tuple(module.name for module in iter_modules(steps.__path__))]


def check_seeds(seeds: tuple[int, ...]) -> None:
    """Raise ValueError where one stands twice, which would count as two."""
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds: found {list(seeds)}, expected each once")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry of a section whose entries may be like each other."""

    like: str = ""  # another entry of the section, whose keys hold where this one says none of its own


@dataclass(frozen=True)
class Archive:
    """One file to download and extract."""

    url: tuple[str, ...]  # mirrors, tried in order
    bytes: int | None = None
    digest: str = ""  # "sha256:…" or "md5:…"; empty: pinned on first use
    folder: str = ""  # extract into this folder below the data set's root
    split: Literal["", "train", "test"] = ""  # the one that it is for; empty: both
    gb: float = 0  # about how large it is, for the plan, where nobody publishes the bytes
    extracted_gb: float = 0  # about how large its files are; 0: as large as the archive
    files: int = 0  # about how many it holds, for the plan


@dataclass(frozen=True)
class Scenes:
    """A synthetic data set: drawn here instead of downloaded."""

    seed: int = 0
    resolution: int = 64  # of the synthetic images, px
    style: Literal["task", "near", "middle", "far"] = "task"  # the world: piti.scenes.styles
    stored: bool = True  # False: a prior's training draws them as it sees them

    def __post_init__(self):
        check_range(self, resolution=(1, math.inf))


@dataclass(frozen=True)
class Dataset(Entry):
    """One entry of datasets.yaml."""

    layout: Annotated[str, LAYOUTS]
    train: int  # expected number of training pairs
    test: int
    num_classes: int = 0  # with 0 = void; 0 where there are no labels
    path: str | None = None
    scenes: Scenes | None = None
    archives: dict[str, Archive] = field(default_factory=dict)
    version: str = ""  # another one says that the data are others on purpose
    exclude: tuple[str, ...] = ()  # ids left out
    depth_unit: Literal["m", "cm", "mm"] = "m"  # of the depth files
    # whose test half says when a training on this one has converged; without, it makes all its steps
    validation: DatasetName = ""
    substitution: str = ""  # why this is not the paper's data, if it is not
    licence: str = ""

    def __post_init__(self):
        check_range(self, train=(0, math.inf), test=(0, math.inf), num_classes=(0, 255))


@dataclass(frozen=True)
class Weights(Entry):
    """One entry of weights.yaml: published weights."""

    format: str  # a key of piti.networks.pretrained.FORMATS
    url: tuple[str, ...] = ()
    package: str = ""  # name==version of a Python package that carries the file
    member: str = ""  # the file inside it
    path: str = ""  # on disk already
    bytes: int | None = None
    gb: float = 0  # about how large it is, for the plan, where nobody publishes the bytes
    digest: str = ""
    version: str = ""  # another one says that the file is another on purpose
    licence: str = ""


@dataclass(frozen=True)
class Networks:
    """Sizes of everything that is built: the only place where presets differ in architecture."""

    image_resolution: int = 256  # real images, conditions, final samples
    base_resolution: int = 64  # the base model's pictures
    hed_resolution: int = 256  # resolution at which HED looks at the photographs
    hed: Weight = "hed"
    base: UNetConfig = UNetConfig()
    upsampler: UNetConfig = UNetConfig(
        in_channels=6, channel_mult=(1, 1, 2, 2, 4, 4), num_res_blocks=2, attention_resolutions=(8, 16, 32)
    )
    encoder: EncoderConfig = EncoderConfig()
    text: TextConfig = TextConfig()
    perceptual: Weight = "vgg19"  # behind perceptual losses
    load_resolution: int = 286  # px; the baselines train on random crops of image_resolution out of it
    baselines: dict[str, BaselineConfig] = field(
        default_factory=lambda: {name: baseline() for name, baseline in BASELINES.items()}
    )
    estimator: EstimatorConfig = EstimatorConfig()

    def __post_init__(self):
        check_range(self, **dict.fromkeys(("image_resolution", "base_resolution", "hed_resolution"), (1, math.inf)))
        check_range(self, load_resolution=(self.image_resolution, math.inf))  # crops are cut out of it
        if self.upsampler.in_channels != 6:
            raise ValueError(
                f"upsampler.in_channels: found {self.upsampler.in_channels}, expected 6: image and low_res"
            )


@dataclass(frozen=True, kw_only=True)
class Model(TrainingConfig, Entry):
    """One row of models.yaml: how it is trained, and from what."""

    init: Annotated[str, "models", ("released",)] = ""  # empty: random
    dataset: DatasetName = ""  # what a prior learns from; all other rows learn from their task's
    epochs: dict[ByDataset, int] = field(default_factory=dict)  # of a baseline, where `steps` is 0
    decay: dict[ByDataset, float] = field(default_factory=dict)  # last part of a baseline's steps, with falling lr
    instances: tuple[DatasetName, ...] = ()  # data sets whose instance boundaries a baseline sees
    views: dict[ConditionName, str] = field(default_factory=dict)  # how a baseline sees it, of the condition's `views`
    weights: Weight = ""  # the row is this entry of weights.yaml instead of being trained


@dataclass(frozen=True)
class Task(Entry):
    """A data set and a kind of condition."""

    label: str
    dataset: DatasetName
    condition: ConditionName


@dataclass(frozen=True)
class Method(Entry):
    """The models that turn a condition into a picture."""

    label: str
    base: Row = ""
    upsampler: Row = ""
    generator: Row = ""  # a baseline, in place of base and upsampler
    sampling: SamplingConfig = SamplingConfig()  # where it differs from `sampling`
    pictures: dict[TaskName, str] = field(default_factory=dict)  # task -> folder of pictures made elsewhere
    real: bool = False  # the real test images: the best that a measure can say; or they through `upsampler` alone
    best_of: tuple[MethodName, ...] = ()  # of these each cell takes the best score: selection on the test set
    conditions: tuple[ConditionName, ...] = ()  # that it takes, others read "-"; empty: all, or its baseline's

    @property
    def models(self) -> dict[str, str]:
        """Key -> the row that it names. Empty: its pictures are the same whatever is trained."""
        return {key: row for key in ("generator", "base", "upsampler") if (row := getattr(self, key))}


@dataclass(frozen=True)
class Run:
    """What one cell of a table measures; a row and a column each give a part of it."""

    method: MethodName = ""
    task: TaskName = ""
    fraction: float | None = None
    metric: Metric = ""
    label: str = ""
    seeds: tuple[int, ...] = ()  # of its trainings, where these are others than the configuration's
    resolution: Literal["", "base"] = ""  # base: all pictures are made as small as the base model's before

    def __post_init__(self):
        check_range(self, fraction=(0.001, 1))
        check_seeds(self.seeds)


@dataclass(frozen=True)
class Table(Entry):
    """A table of the paper: a grid of runs, and the paper's own numbers."""

    title: str
    rows: dict[str, Run]
    columns: dict[str, Run]
    paper: dict[str, tuple[str, ...]] = field(default_factory=dict)
    run: Run = Run()


@dataclass(frozen=True)
class Figure(Entry):
    """A grid of pictures: for each task some test images, each a line."""

    title: str
    tasks: tuple[TaskName, ...]
    columns: tuple[Column, ...]  # methods, and condition, real_image, low_res (what the last method's base model makes)
    headings: dict[Column, str] = field(default_factory=dict)  # column -> heading, where the method's label will not do
    images: int = 4  # of each task
    page: int = 0  # figures with the same tasks and number of images but other pages show other images
    ids: dict[TaskName, tuple[str, ...]] = field(default_factory=dict)  # task -> chosen images; else picked by seed
    seeds: tuple[int, ...] = ()  # draw these few images alone, once for each; else take them from the tables' samples
    edits: dict[str, Edit] = field(default_factory=dict)  # a line for each, in place of test images as they are
    worst: Annotated[str, ("",), MEASURES] = ""  # show the images that the last method follows worst by it
    curves: bool = False  # below, the deviation and saturation of its methods' pictures over w
    wrap: int = 0  # columns a line; 0: all
    crop: float = 0.0  # fraction of the resolution that is shown enlarged under each picture; 0: none

    def __post_init__(self):
        check_range(self, images=(1, math.inf), page=(0, math.inf), wrap=(0, math.inf), crop=(0, 1))
        check_seeds(self.seeds)


@dataclass(frozen=True)
class Study:
    """The user study of Table 2: which of two pictures of one condition do people find more realistic?"""

    title: str
    task: TaskName
    method: MethodName  # whose preference is counted
    against: dict[MethodName, str]  # opponent -> the paper's preference for the method, %
    pairs: int = 50  # of each comparison; *assumed*: the paper's 3,000 votes, 20 people and 3 comparisons give 50 each
    seed: int = 0  # draws the pairs
    votes: str = ""  # folder of vote files; empty: none yet

    def __post_init__(self):
        check_range(self, pairs=(1, math.inf))


@dataclass(frozen=True)
class MetricCheck:
    """A table that says whether real images score worse the more they are distorted."""

    title: str
    dataset: DatasetName  # its real test images are the reference; as many real training images are distorted
    strengths: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4, 0.8)  # what they mean: piti.evaluate.metric_check

    def __post_init__(self):
        # "rises" is said of their order
        if not self.strengths or any(after <= before for before, after in pairwise((0, *self.strengths))):
            raise ValueError(f"strengths: found {list(self.strengths)}, expected one or more, above 0 and rising")


@dataclass(frozen=True)
class Claim(Entry):
    """An ordering that the paper states: on every task each run scores better than the next."""

    text: str
    order: tuple[Run, ...]
    tasks: tuple[TaskName, ...]
    metric: Metric = "fid_c"
    seeds: tuple[int, ...] = ()  # as a run's
    equal_steps: bool = False  # it is about trainings of as many steps: one that has not converged can lose

    def __post_init__(self):
        check_seeds(self.seeds)


@dataclass(frozen=True)
class Asked:
    """What a job asks for, by the names that Snakemake and its executors have for it. None: not said here."""

    gpu: int | None = None  # GPUs of its one node; 0: it computes on CPUs
    gpu_model: str | None = None  # of this kind
    gres: str | None = None  # SLURM's other way to ask for GPUs, "gpu:a100:2", of each node
    nodes: int | None = None  # of a training
    cpus_per_task: int | None = None  # CPUs; of each node
    mem_mb: int | None = None  # memory, MB; of each node
    mem_mb_per_cpu: int | None = None  # memory by the CPU, where a site wants it so
    runtime: int | None = None  # minutes
    constraint: str | None = None  # features that a node must have
    qos: str | None = None  # quality of service
    slurm_account: str | None = None
    slurm_partition: str | None = None
    slurm_extra: str | None = None  # anything else that sbatch knows

    def __post_init__(self):
        check_range(self, **{key: (0, math.inf) for key in ("gpu", "cpus_per_task", "mem_mb", "mem_mb_per_cpu")})
        check_range(self, nodes=(1, math.inf), runtime=(1, math.inf))


@dataclass(frozen=True)
class Jobs:
    """What jobs ask for where they are submitted; here they take GPUs and memory alone. The narrower word counts."""

    default: Asked = Asked()  # every job
    computing: Asked = Asked()  # of a step that computes on a GPU
    steps: dict[StepName, Asked] = field(default_factory=dict)  # of one step
    models: dict[Row, Asked] = field(default_factory=dict)  # the trainings of one row
    here: tuple[StepName, ...] = ()  # steps on CPUs that are not submitted: their jobs share what Snakemake runs in


@dataclass(frozen=True)
class Machine:
    """How the work is done, never what comes out but for rounding: none of this is part of a card."""

    gpus: int | Literal["auto"] = "auto"  # that jobs here share; auto: all there are; 0: compute on CPUs everywhere
    jobs_per_gpu: Literal[1, 2, 4, 8, 16] = 1  # jobs of this machine that share a GPU (piti.run.gpus)
    threads: int = 1  # CPUs a job: threads, or processes that read what is packed
    workers: int = 0  # data-loading processes a training job
    micro_batch: int = 16  # images on a device at once in training; the rest of the batch by accumulation
    sample_batch: int = 16  # images on a device at once in sampling, HED and feature extraction
    compile: bool = False  # torch.compile
    log_every: int = 200  # training steps
    save_minutes: float = 20  # between a training's checkpoints; longer where saving takes minutes (train.run.Run.due)
    scratch: str = ""  # folder on a node's own disk, with its variables ($TMPDIR), into which each packing extracts
    keep_every: int = 0  # training steps between EMA weights that are kept beside the checkpoint; 0: none
    margin: float = 10  # minutes before the limit of its SLURM job at which a training saves and leaves
    most_days: float = 7  # that a run may take on this machine, or it does not begin; 0: any number
    keep_checkpoints: bool = False  # whether `piti gc` leaves the checkpoints of trainings whose weights were exported
    requeue: bool = True  # whether such a job queues itself again (`scontrol requeue`), or leaves that to `retries`

    def __post_init__(self):
        check_range(self, **dict.fromkeys(("threads", "micro_batch", "sample_batch", "log_every"), (1, math.inf)))
        check_range(
            self, **dict.fromkeys(("workers", "save_minutes", "keep_every", "margin", "most_days"), (0, math.inf))
        )
        if self.gpus != "auto":
            check_range(self, gpus=(0, math.inf))


@dataclass(frozen=True)
class Config:
    """The whole configuration."""

    preset: str = "paper"
    plugins: tuple[str, ...] = ()  # modules that register conditions, baselines … of somebody else's (piti.registry)
    precision: Literal["fp32", "bf16"] = "fp32"  # of every row of models and of all sampling that do not say their own
    results: str = "results"
    downloads: str = "results/downloads"  # where the user names `results`, below those
    comparable: bool = False  # whether the scores stand beside the paper's
    note: str = ""  # printed with every table
    no_verdict: str = ""  # why every claim is undecided, whatever the scores; empty: the scores decide
    code_in_card: bool = False  # whether an edit of a step's code makes new artefacts
    seeds: tuple[int, ...] = (0,)
    shard_size: int = 4096  # images a shard of what is packed
    sample_shard_size: int = 256  # pictures a shard of what a model draws: all that a killed job draws again
    min_images: int = 100  # fewer are refused by every score
    datasets: dict[str, Dataset] = field(default_factory=dict)
    weights: dict[str, Weights] = field(default_factory=dict)
    networks: Networks = field(default_factory=Networks)  # made when plug-ins have registered their baselines
    models: dict[str, Model] = field(default_factory=dict)
    sampling: SamplingConfig = SamplingConfig()
    tasks: dict[str, Task] = field(default_factory=dict)
    methods: dict[str, Method] = field(default_factory=dict)
    extractors: dict[str, Annotated[str, EXTRACTORS]] = field(default_factory=dict)  # metric -> network and weights
    estimators: dict[ConditionName, Row] = field(
        default_factory=dict
    )  # kind of condition -> the row that predicts it from pictures
    tables: dict[str, Table] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)
    study: Study | None = None
    metric_check: MetricCheck | None = None
    claims: dict[str, Claim] = field(default_factory=dict)
    only: dict[TaskName, tuple[MethodName, ...]] = field(
        default_factory=dict
    )  # the methods run on a task, where not all are
    fractions: tuple[float, ...] = ()  # of the training pairs that are run; empty: all that a table asks for
    left_out: str = "left out"  # what the cells say that `only` and `fractions` leave out
    missing: Literal["make", "blank"] = "make"  # what nobody has made yet: make it, or leave it blank
    jobs: Jobs = Jobs()
    machine: Machine = Machine()

    def __post_init__(self):
        check_range(self, shard_size=(1, math.inf), sample_shard_size=(1, math.inf), min_images=(0, math.inf))
        check_seeds(self.seeds)
