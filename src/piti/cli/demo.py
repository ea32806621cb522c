"""Paint or upload a condition in the browser and see what a model makes of it.

  piti demo --config preset=smoke                                every trained, released or baseline model there is
  piti demo --model base.safetensors --upsampler upsampler.safetensors --task coco_mask

The page is served to this machine alone unless --host says otherwise. It uses no network and sends nothing to anybody.
Above each model the page says which one it is, how long it was trained and what it scores.
`piti translate` draws the same picture from the same condition file; the page shows the command.
"""

import os
import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from itertools import chain, product
from pathlib import Path
from typing import NamedTuple

from piti.cli.drift import Drifted
from piti.cli.making import hint, settings
from piti.cli.translate import misfit, planned, refuse_contradictions
from piti.conditions import CONDITIONS
from piti.config import Config, Run
from piti.datasets.classes import CLASSES
from piti.datasets.layouts import LAYOUTS
from piti.plan import Plan, Unavailable
from piti.plan.data import packed
from piti.plan.scores import score_of
from piti.plan.tables import head
from piti.registry import unknown_key
from piti.sample.stages import Stage, read_card, stages_of
from piti.store.files import InputError, read_json
from piti.units import with_interval

INSTALL = "pip install --no-deps -r envs/demo.txt"


class Choice(NamedTuple):
    """A model on the page."""

    tab: str
    method: str
    label: str
    kind: str  # of its condition
    stages: list[Stage]
    named: str  # the options that name it for `piti translate`
    palette: dict[str, int]  # of a mask: class -> stored label
    worth: str  # which model this is, and what is known of its pictures
    examples: Path | None  # shards of the task's test conditions


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--method", help="only this one of experiments.yaml")
    parser.add_argument("--task", help="only this one of experiments.yaml")
    parser.add_argument("--model", type=Path, metavar="WEIGHTS", help="of a base model or a baseline")
    parser.add_argument("--upsampler", type=Path, metavar="WEIGHTS")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7860)


def run(arguments: Namespace, config: Config) -> None:
    if not 1 <= arguments.port <= 65535:
        raise InputError(f"--port: found {arguments.port}, expected 1 to 65535")
    found = list(choices(arguments, config))
    if not found:
        raise InputError(f"found no trained model of preset {config.preset}; {hint('table1', config)}")
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}  # read when Gradio is imported
    try:
        from piti.cli.demo_page import serve
    except ModuleNotFoundError as error:
        raise InputError(f"the page needs {error.name}, which is not installed; try: {INSTALL}") from None
    serve(found, arguments.host, arguments.port)


def choices(arguments: Namespace, config: Config) -> Iterator[Choice]:
    """The models that are there, by task; or the one whose weights are named."""
    for name, among, where in (
        (arguments.method, config.methods, "--method"),
        (arguments.task, config.tasks, "--task"),
    ):
        if name is not None and name not in among:
            raise InputError(unknown_key(name, among, where))
    refuse_contradictions(arguments)
    if arguments.model:
        stages, kind = stages_of(arguments.model, arguments.upsampler, config.sampling)
        weights = [(f"--{key}", str(path)) for key in ("model", "upsampler") if (path := getattr(arguments, key))]
        named = shlex.join([*chain(*weights), *settings(config)])
        task = painted_for(arguments.task, config, stages[0], kind)
        name = arguments.model.name
        yield Choice(
            config.tasks[task].label, name, name, kind, stages, named, palette(config, task), about(stages), None
        )
        return
    offered = set()  # how a model is sampled is asked on the page: methods that differ in that alone are one model
    for task, method in product(config.tasks, config.methods):
        if arguments.task in (None, task) and arguments.method in (None, method):
            try:
                stages = planned(config, method, task)
            except Drifted:
                raise
            except InputError:
                continue  # not made yet, or failed
            weights = (task, *(stage.weights for stage in stages))
            if weights in offered:
                continue
            offered.add(weights)
            said, label = config.tasks[task], config.methods[method].label
            examples = Path(packed(Plan(config), said.dataset, "test", said.condition).path)
            named = shlex.join(["--method", method, "--task", task, *settings(config)])
            note = f": {config.note}" if config.note else ""
            worth = f"Preset {config.preset}{note}. {about(stages)}. {scored(config, method, task)}"
            colours = palette(config, task)
            yield Choice(said.label, method, label, said.condition, stages, named, colours, worth, examples)


def painted_for(asked: str | None, config: Config, stage: Stage, kind: str) -> str:
    """The task whose classes a model's masks are painted in: the one that is asked for, or the first that fits.

    A diffusion model's card does not say its classes.
    """
    faults = {name: misfit(name, config, stage, kind) for name in ([asked] if asked else config.tasks)}
    if not (fit := [name for name, fault in faults.items() if not fault]):
        raise InputError(next(iter(faults.values()), "tasks: found none, expected at least one"))
    if len(fit) > 1 and CONDITIONS[kind].labels and not getattr(stage.card, "num_classes", 0):
        raise InputError(f"--task: found none, expected whose labels are painted: {', '.join(fit)} ({stage.weights})")
    return fit[0]


def about(stages: Sequence[Stage]) -> str:
    """The models of a choice, and how long they were trained, as their weights say."""
    found = []
    for stage in stages:
        try:
            trained = f"{read_card(stage.weights).training.steps:,} steps"
        except InputError:
            trained = "published weights"
        found.append(f"{stage.weights.parent.parent.name} ({trained})")
    return "; ".join(found)


def scored(config: Config, method: str, task: str) -> str:
    """The first metric of the tables, where somebody has measured it."""
    plan, metric = Plan(config), next(iter(config.extractors))
    try:
        path = Path(score_of(plan, Run(method=method, task=task, metric=metric), config.seeds[0]).path)
        score = read_json(path, "value", "interval", "n")
    except (Unavailable, InputError):
        return "Not scored yet"
    return f"{head(plan, Run(metric=metric))} {with_interval(score['value'], *score['interval'])}, n = {score['n']}"


def palette(config: Config, task: str) -> dict[str, int]:
    """What a mask of a task can be painted with: the classes of the synthetic scenes, which every data set has."""
    layout = LAYOUTS[config.datasets[config.tasks[task].dataset].layout]
    names: dict[int, str] = {}
    for one in CLASSES:  # ADE20K calls clouds sky too: the first name stays
        names.setdefault(getattr(one, layout.label_ids) + layout.label_shift, one.name)
    return {name: label for label, name in names.items()}
