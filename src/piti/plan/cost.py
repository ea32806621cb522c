"""What a plan costs in GPU time: work counted beforehand on the real networks, and how long a GPU takes for it.

`flops.json` is written by `python -m piti.count`; `piti.plan.gpu` says what is assumed of GPUs. Each row counts in its
own precision, trainings compiled where `machine.compile` says so. Not counted, because they are a thousandth of the
rest: packing, feature extraction, tables, the arithmetic between a sampler's passes.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from piti.cards import BaselineConfig, Card, GenerateCard, PackCard, SampleCard, SketchCard, TrainCard, TrainingConfig
from piti.cards.base import digest, from_dict
from piti.cards.train import kind_of
from piti.diffusion.respacing import kept_steps
from piti.plan.core import Artefact, Plan
from piti.plan.gpu import DEFAULT, gpu, operations, seconds_of_pass, seconds_of_step
from piti.store.files import InputError, read_json

COUNTS = json.loads(Path(__file__).with_name("flops.json").read_text())

CPU, CPU_RATE = "2 CPU cores", 0.14e12  # operations a second, measured by `make bench`


def sized(card: Card) -> Card | None:
    """The card with only what the number of operations depends on; None for cards that are not counted.

    The condition encoder is counted for a mask's 3 channels throughout (1 or 6 differ by a tenth of a percent).
    """
    if isinstance(card, TrainCard):
        row = card.training
        training = TrainingConfig(
            kind=row.kind,
            trainable=row.trainable,
            perceptual=row.perceptual,
            adversarial=row.adversarial,
            discriminator_width=row.discriminator_width if row.adversarial else 64,
        )
        blank = dict.fromkeys(("code", "images", "conditions", "init", "perceptual", "instances", "view"), "")
        condition, baseline = "" if card.encoder else card.condition, card.baseline and _networks(card.baseline)
        blank |= {"condition": condition, "baseline": baseline}
        return replace(
            card,
            training=training,
            seed=0,
            synthetic=None,
            validation=None,
            fraction=1.0,
            epochs=0,
            steps_before=0,
            **blank,
        )
    if isinstance(card, SampleCard):
        blank = dict.fromkeys(("code", "model", "conditions", "noise_schedule"), "")
        low_res = "given" if card.low_res else ""
        return replace(card, seed=0, sampling=type(card.sampling)(), low_res=low_res, **blank)
    if isinstance(card, GenerateCard):
        blank = dict.fromkeys(("code", "model", "conditions", "instances", "view"), "")
        return replace(card, seed=0, baseline=_networks(card.baseline), **blank)
    if isinstance(card, SketchCard):
        return SketchCard(images="", kind="", hed="", resolution=0, hed_resolution=card.hed_resolution)
    return None


@cache
def size(card: Card) -> str:
    """Under what the work of a card is counted: its digest as `sized`. Hundreds of questions are asked of each card."""
    return digest(sized(card))


def _networks(baseline: BaselineConfig) -> BaselineConfig:
    """A baseline's configuration with defaults wherever the size of its networks does not depend on the value."""
    plain = type(baseline)()
    return replace(baseline, **{key: getattr(plain, key) for key in baseline.of_no_size})


def release_card(card: Card) -> Card:
    """The same work as the release does it: in stage 1 the frozen decoder gets its gradients too."""
    if isinstance(card, TrainCard) and card.training.trainable == "encoder":
        return replace(card, training=replace(card.training, trainable="all"))
    return card


class Costs:
    """The costs of a plan's artefacts on one kind of GPU, or on `CPU`; without one, as the finished trainings went.

    Where none has finished, that is DEFAULT; what is not like any of them is as much faster or slower than modelled as
    they are together.
    """

    def __init__(self, plan: Plan, device: str | None = None):
        self.config, self.machine, self.by_path, self.chain = plan.config, plan.config.machine, plan.by_path, plan.chain
        self.uncounted = sorted({a.name for a in plan.artefacts.values() if sized(a.card) and not self.count(a.card)})
        self.known: dict[tuple, float] = {}  # hours of an artefact, that are asked for time and again
        self.measured: dict[tuple, float] = {}  # kind of a training's step -> device seconds an image
        self.factor, self.device = 1.0, device or DEFAULT
        self.gpu = None if self.device == CPU else gpu(self.device)
        self.source = f"{self.device}, {'modelled' if self.gpu else 'assumed'}"
        if device is None and (done := finished(Path(plan.config.results))):
            self._measure(done)

    def _measure(self, done: list["Finished"]) -> None:
        """Take speeds from finished trainings."""
        devices = sorted({training.device for training in done})
        self.source = f"{', '.join(devices)}, measured on finished trainings"
        if devices == ["cpu"]:
            self.gpu = None
        modelled = sum(training.images * self.seconds_an_image(training.card, training.compiled) for training in done)
        self.factor = sum(training.seconds for training in done) / modelled
        seconds, images = defaultdict(float), defaultdict(int)
        for training in done:
            kind = kind_of_step(training.card, training.compiled)
            seconds[kind] += training.seconds
            images[kind] += training.images
        self.measured = {kind: seconds[kind] / images[kind] for kind in seconds}

    @staticmethod
    def count(card: Card) -> dict:
        """Work and numbers of weights, as `piti.count` found them; empty where it was not asked."""
        return COUNTS.get(size(card), {})

    def items(self, artefact: Artefact) -> int:
        """How many real images, conditions or samples an artefact holds."""
        card = artefact.card
        if isinstance(card, PackCard):
            return card.expected
        source = "images" if "images" in artefact.inputs else "conditions"
        return self.items(self.by_path[artefact.inputs[source][0]])

    def passes(self, card: SampleCard, release: bool = False) -> tuple[int, int]:
        """How often the decoder and the encoder see an image; release: the encoder each time too."""
        sampling = card.sampling
        respacing = sampling.upsampler_respacing if card.low_res else sampling.base_respacing
        guided = sampling.guidance and not card.low_res  # with and without the condition
        decoder = len(kept_steps(card.diffusion_steps, respacing)) * (2 if guided else 1)
        return decoder, decoder if release else 1

    def flop(self, artefact: Artefact, release: bool = False) -> float:
        """Operations that making the artefact takes; release: as the release does it."""
        card = release_card(artefact.card) if release else artefact.card
        if sized(card) is None or not (count := self.count(card)):
            return 0.0
        flop = operations(count)
        if isinstance(card, TrainCard):
            return flop * card.training.batch * card.training.steps
        if isinstance(card, SampleCard):
            decoder, encoder = self.passes(card, release)
            flop = flop * decoder + operations(count["encode"]) * encoder
        return flop * self.items(artefact)

    def hours(self, artefact: Artefact, release: bool = False) -> float:
        """Hours of one device that making the artefact takes; release: as the release does it, in our precision."""
        if (key := (artefact.path, release)) not in self.known:
            self.known[key] = self._hours(artefact, release)
        return self.known[key]

    def _hours(self, artefact: Artefact, release: bool) -> float:
        card = release_card(artefact.card) if release else artefact.card
        if sized(card) is None or not self.count(card):
            return 0.0
        if not isinstance(card, TrainCard):
            return self.factor * self.items(artefact) * self.seconds_a_picture(artefact, release) / 3600
        compiled = self.machine.compile
        seconds = self.measured.get(kind_of_step(artefact.card, compiled))
        if seconds is None:
            seconds = self.factor * self.seconds_an_image(card, compiled)
        elif release:
            seconds *= self.seconds_an_image(card, compiled) / self.seconds_an_image(artefact.card, compiled)
        return seconds * card.training.batch * card.training.steps / 3600

    def seconds_an_image(self, card: TrainCard, compiled: bool) -> float:
        """Modelled device seconds of a training's step, by its images."""
        count, training = self.count(card), card.training
        if self.gpu is None:
            return operations(count) / CPU_RATE
        at_once = min(self.machine.micro_batch, training.batch)
        how = training.precision, compiled, training.ema_rate > 0
        return seconds_of_step(count, training.batch, at_once, self.gpu, *how) / training.batch

    def seconds_a_picture(self, artefact: Artefact, release: bool = False) -> float:
        """Modelled device seconds of a picture."""
        card, count = artefact.card, self.count(artefact.card)
        if self.gpu is None:
            return self.flop(artefact, release) / CPU_RATE / max(self.items(artefact), 1)  # test: 0
        at_once = self.machine.sample_batch
        how = self.gpu, precision_of(card)
        if not isinstance(card, SampleCard):
            return seconds_of_pass(count, at_once, *how) / at_once
        decoder, encoder = self.passes(card, release)
        together = at_once * (1 if card.low_res or not card.sampling.guidance else 2)
        return (
            decoder * seconds_of_pass(count, together, *how) / together
            + encoder * seconds_of_pass(count["encode"], at_once, *how) / at_once
        )

    @cached_property
    def ahead(self) -> dict[str, float]:
        """By path, hours of the longest chain of work that begins with each artefact: the longest is to begin first."""
        found, after = {}, defaultdict(float)
        for artefact in reversed(list(self.by_path.values())):  # an artefact is planned after what it is made from
            found[artefact.path] = self.hours(artefact) + after[artefact.path]
            for path in (path for paths in artefact.inputs.values() for path in paths):
                after[path] = max(after[path], found[artefact.path])
        return found

    def todo(self, paths: Iterable[str]) -> dict[str, Artefact]:
        """By path, what Snakemake would make for these: missing, and wanted by something that is missing."""
        found, left = {}, list(paths)
        while left:
            path = left.pop()
            if path not in found and not Path(path).exists():
                found[path] = self.by_path[path]
                left += [below for inputs in found[path].inputs.values() for below in inputs]
        return found

    def total(self, artefacts: dict[str, Artefact]) -> float:
        """Hours of all these."""
        return sum(map(self.hours, artefacts.values()))

    def left(self, artefacts: dict[str, Artefact]) -> float:
        """Hours of all these, without the steps that are saved."""
        return sum(self.hours(artefact) * (1 - saved_part(artefact)) for artefact in artefacts.values())

    def unshared(self, tables: Iterable[Artefact], release: bool = False) -> float:
        """Hours if every table made each of its models, and all before it, for itself; release: in the release's way.

        Shared all the same: what cells of one table measure of one model, tables of the same models (1 and 5), and the
        prior. Figures show what the tables' cells have made.
        """
        runs: dict[tuple, dict[str, Artefact]] = {}  # (models of the table, models of the cell) -> all that it takes
        for table in tables:
            chains = [self.chain([cell]) for cell in self._cells(table)]
            models = [frozenset(p for p, a in chain.items() if isinstance(a.card, TrainCard)) for chain in chains]
            for chain, own in zip(chains, models, strict=True):
                runs.setdefault((frozenset(models), own), {}).update(chain)
        priors = {path: a for run in runs.values() for path, a in run.items() if is_prior(a.card)}
        hours = sum(self.hours(a, release) for run in runs.values() for path, a in run.items() if path not in priors)
        return hours + self.total(priors)

    def _cells(self, table: Artefact) -> Iterable[str]:
        """What is measured of a table: its distances, for alignment is measured on the same pictures; of the user
        study, each method's pictures."""
        if study := table.inputs.get("study"):
            return [path for paths in self.by_path[study[0]].inputs.values() for path in paths]
        return [path for path in table.inputs.get("scores", ()) if self.by_path[path].step == "score"]


def saved_part(artefact: Artefact) -> float:
    """The fraction of an unfinished training's steps that its checkpoint has."""
    if not isinstance(artefact.card, TrainCard):
        return 0.0
    checkpoint = artefact.card.checkpoint(Path(artefact.path))
    try:
        return min(1.0, read_json(checkpoint / "progress.json")["saved"] / artefact.card.training.steps)
    except (InputError, KeyError, TypeError):
        return 0.0


def is_prior(card: Card) -> bool:
    """Whether it is the training of a prior."""
    return isinstance(card, TrainCard) and kind_of(card.training.kind).prior


def precision_of(card: Card) -> str:
    """What a card is computed in: baselines draw in fp32, and so does HED."""
    part = getattr(card, "training", None) or getattr(card, "sampling", None)
    return part.precision if part else "fp32"


def kind_of_step(card: TrainCard, compiled: bool) -> tuple[str, str, bool]:
    """What the speed of a training's step depends on."""
    return size(card), card.training.precision, compiled


class Finished(NamedTuple):
    """What a finished training took."""

    card: TrainCard
    compiled: bool
    images: int  # of all its steps
    seconds: float  # of all its devices
    device: str


def finished(results: Path) -> list[Finished]:
    """The trainings that are done there and whose networks are counted, by their histories."""
    found = []
    for file in sorted(results.glob("models/*/*/card.json")):
        try:
            about = read_json(file)
            card, history = from_dict(TrainCard, about["card"]), about["made"]["history"]
            seconds = sum(piece["seconds"] * piece["processes"] for piece in history)
            steps = sum(piece["to"] - piece["from"] for piece in history)
            ((device, compiled),) = {(piece["device"], piece.get("compile", False)) for piece in history}
        except (InputError, KeyError, TypeError, ValueError):
            continue  # a damaged record, one of other times, or of pieces made in several ways tells no speed
        if seconds and steps and size(card) in COUNTS:
            found.append(Finished(card, compiled, steps * card.training.batch, seconds, device))
    return found
