"""Turn your own masks, sketches, or depth and normal maps into pictures.

  piti translate --method ours --task coco_mask --condition masks/ --out pictures/
  piti translate --model base.safetensors --upsampler upsampler.safetensors --condition sketch.png --out pictures/

A model is named as in the tables (--method, --task, --config preset=...), or by its weights, which carry their card.
The authors' weights carry none: set `weights.released_TASK_base.path` and `..._upsampler.path`, then --method released.

  mask      colours as the release paints them, or one channel of ids: 0 void, then the classes (COCO-Stuff's ids + 1)
  sketch    white edges on black
  geometry  NAME_normal.png beside NAME_depth.png, both coloured; name one of them, or their folder
"""

import subprocess
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from piti.card import dumps, from_dict, unknown_key
from piti.cards import SampleCard, SamplingConfig
from piti.config import Config
from piti.files import InputError, failure
from piti.plan import Artefact, Plan, Unavailable
from piti.sample.stages import Stage, stages_of

# option -> key of `sampling`
SAMPLING = {
    "guidance": "guidance",
    "normalise": "normalise",
    "respacing": "base_respacing",
    "upsampler_respacing": "upsampler_respacing",
    "sampler": "base_sampler",
}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--condition", required=True, type=Path, metavar="FILE|DIR")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    parser.add_argument("--method", help="as in experiments.yaml")
    parser.add_argument("--task", help="as in experiments.yaml")
    parser.add_argument("--model", type=Path, metavar="WEIGHTS", help="of a base model or a baseline")
    parser.add_argument("--upsampler", type=Path, metavar="WEIGHTS")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--guidance", help="w of equation 7")
    parser.add_argument("--normalise", help="none, sample or channel")
    parser.add_argument("--respacing", help="steps of the base model")
    parser.add_argument("--upsampler-respacing", help="steps of the upsampler")
    parser.add_argument("--sampler", help="ancestral or ddim")


def run(arguments: Namespace, config: Config) -> None:
    stages, kind = named(arguments, config)
    asked = {key: getattr(arguments, option) for option, key in SAMPLING.items() if getattr(arguments, option)}
    stages = [stage._replace(card=changed(stage.card, asked, arguments.seed)) for stage in stages]
    from piti.sample.translate import Translator, translate  # torch: two seconds

    translate(Translator(stages, kind), arguments.condition, arguments.out, config.machine.sample_batch)


def named(arguments: Namespace, config: Config) -> tuple[list[Stage], str]:
    """The stages of the model that a command line names, and the kind of condition that it takes."""
    if (arguments.model is None) == (arguments.method is None or arguments.task is None):
        raise InputError("expected either --method and --task, or --model")
    if arguments.model:
        return stages_of(arguments.model, arguments.upsampler)
    return planned(config, arguments.method, arguments.task), config.tasks[arguments.task].condition


def changed(card, asked: dict[str, str], seed: int | None):
    """The card with what the command line asks for."""
    if isinstance(card, SampleCard):
        card = replace(card, sampling=from_dict(SamplingConfig, asked, "sampling", base=card.sampling))
    return card if seed is None else replace(card, seed=seed)


def planned(config: Config, method: str, task: str) -> list[Stage]:
    """The stages of a method, as the tables use them."""
    for name, among, where in ((method, config.methods, "--method"), (task, config.tasks, "--task")):
        if name not in among:
            raise InputError(unknown_key(name, among, where))
    if config.methods[method].photographs:
        raise InputError(f"--method: found {method}, expected one that makes pictures")
    plan, stages = Plan(config), []
    try:
        last = plan.samples(method, task, 1.0, config.seeds[0])
    except Unavailable as reason:
        raise InputError(f"{method} on {task}: {reason}") from None
    by_path = {artefact.path: artefact for artefact in plan.artefacts.values()}
    while last:
        weights = Path(last.inputs["model"][0])
        if not weights.exists() and (given := by_path[str(weights)].given):
            convert(by_path[str(weights)], given["source"])
        if not weights.exists():
            raise InputError(f"{weights}: not there yet; try: snakemake {weights} --config preset={config.preset}")
        if reason := failure(weights):
            raise InputError(f"{weights}: failed: {reason}")
        stages.insert(0, Stage(last.card, weights))
        last = by_path[last.inputs["low_res"][0]] if "low_res" in last.inputs else None
    return stages


def convert(weights: Artefact, source: str) -> None:
    """Published weights of the user's own, which no table need ask for, by the step that Snakemake would run."""
    line = [sys.executable, "-m", f"piti.steps.{weights.step}", "--card", dumps(weights.card), "--source", source]
    done = subprocess.run([*line, "--output", weights.path], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise InputError(done.stderr.strip().splitlines()[-1].removeprefix("error: "))
