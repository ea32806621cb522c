"""Turn your own masks, sketches, or depth and normal maps into pictures.

After `make reproduce` these run as typed:

  piti translate --method ours --task coco_mask --out pictures/ --config preset=smoke \\
      --condition results/smoke/data/coco/*/synthetic/stuffthingmaps/val2017
  piti translate --model results/smoke/models/two_stage-coco_mask/*/weights.safetensors --task coco_mask \\
      --upsampler results/smoke/models/upsampler-coco_mask/*/weights.safetensors \\
      --out pictures/ --config preset=smoke --condition results/smoke/data/coco/*/synthetic/stuffthingmaps/val2017

A picture has its condition's name, and replaces no file that was not drawn so too.

Name a model as the tables do (--method, --task, --config preset=...), or by its weights, which carry their card.
The authors' weights carry none: set `weights.released_TASK_base.path` and `..._upsampler.path`, then --method released.

  mask      one channel of ids as in the data set's own label files (COCO-Stuff: 0 to 181, 255 void; ADE20K: 0 void, 1
            to 150; with --model say whose by --task), or the colours that the release paints them in
  sketch    white edges on black
  geometry  NAME_normal.png beside NAME_depth.png, both coloured; name one of them, or their folder

In those colours void is black. The authors' own example masks show COCO's void in (128, 224, 192), the colour of label
183. A mask of colours may have either. For a mask of ids, --void 0 or --void 183 says which of them a model sees.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from piti.cards import GenerateCard, SampleCard, SamplingConfig
from piti.cards.base import from_dict
from piti.cli.making import make
from piti.conditions import CONDITIONS
from piti.config import Config
from piti.config.check import check_seed
from piti.plan import Plan, Unavailable
from piti.plan.samples import samples_of, taken_by
from piti.registry import unknown_key
from piti.sample.stages import Labels, Stage, stages_of
from piti.store.files import InputError

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
    parser.add_argument("--task", help="as in experiments.yaml; with --model it says whose label ids a mask holds")
    parser.add_argument("--model", type=Path, metavar="WEIGHTS", help="of a base model or a baseline")
    parser.add_argument("--upsampler", type=Path, metavar="WEIGHTS")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--void", type=int, metavar="LABEL", help="a diffusion model sees void in its colour")
    parser.add_argument("--guidance", help="w of equation 7")
    parser.add_argument("--normalise", help="none, sample or channel")
    parser.add_argument("--respacing", help="steps of the base model")
    parser.add_argument("--upsampler-respacing", help="steps of the upsampler")
    parser.add_argument("--sampler", help="ancestral or ddim")


def run(arguments: Namespace, config: Config) -> None:
    from piti.sample.translate import Translator, translate  # torch: two seconds

    model = Translator(*prepared(arguments, config))
    translate(model, arguments.condition, arguments.out, config.machine.sample_batch)


def prepared(arguments: Namespace, config: Config) -> tuple[list[Stage], str, Labels | None]:
    """What a command line names, sampled as it asks for."""
    stages, kind, labels = named(arguments, config)
    given = {option: getattr(arguments, option) for option in (*SAMPLING, "void")}
    given = {option: value for option, value in given.items() if value is not None}
    if unused := [option for option in given if option not in options(stages, kind)]:
        name, value = unused[0].replace("_", "-"), given[unused[0]]
        raise InputError(f"--{name}: found {value}, expected none: the model does not use it")
    asked = {SAMPLING[option]: value for option, value in given.items() if option in SAMPLING}
    stages = [stage._replace(card=changed(stage.card, asked, arguments.seed)) for stage in stages]
    if arguments.void is not None:
        stages = [stage._replace(card=void_as(stage.card, arguments.void)) for stage in stages]
    return stages, kind, labels


def named(arguments: Namespace, config: Config) -> tuple[list[Stage], str, Labels | None]:
    """The stages of the model that a command line names, the kind of condition that it takes, and whose label ids."""
    if (arguments.model is None) == (arguments.method is None):
        raise InputError("expected either --method and --task, or --model")
    if arguments.task not in (None, *config.tasks):
        raise InputError(unknown_key(arguments.task, config.tasks, "--task"))
    refuse_contradictions(arguments)
    labels = None
    if arguments.task:
        dataset = config.datasets[config.tasks[arguments.task].dataset]
        labels = Labels(dataset.layout, dataset.num_classes)
    if arguments.model:
        stages, kind = stages_of(arguments.model, arguments.upsampler, config.sampling)
        if arguments.task and (fault := misfit(arguments.task, config, stages[0], kind)):
            raise InputError(fault)
        return stages, kind, labels
    if not arguments.task:
        raise InputError("expected either --method and --task, or --model")
    return planned(config, arguments.method, arguments.task), config.tasks[arguments.task].condition, labels


def refuse_contradictions(arguments: Namespace) -> None:
    """Raise InputError for an option that what names the model otherwise would make us forget."""
    if arguments.upsampler and not arguments.model:
        raise InputError(f"--upsampler: found {arguments.upsampler}, expected it with --model alone")
    if arguments.method and arguments.model:
        raise InputError(f"--method: found {arguments.method}, expected it without --model")


def misfit(task: str, config: Config, stage: Stage, kind: str) -> str:
    """What is said of a task of another condition than the model's, or of other classes than a baseline's."""
    said, where = config.tasks[task], f"({stage.weights})"
    if said.condition != kind:
        return f"--task: found {task} of condition {said.condition}, expected {kind} {where}"
    found, expected = config.datasets[said.dataset].num_classes, getattr(stage.card, "num_classes", 0)
    if expected and found != expected:  # 0: colours, or no labels at all
        return f"--task: found {task} with {found} classes, expected {expected} {where}"
    return ""


def options(stages: Sequence[Stage], kind: str) -> set[str]:
    """The options that say how these stages are sampled, beside the seed."""
    if isinstance(stages[0].card, GenerateCard):
        return set()
    alone = {"upsampler_respacing"} if len(stages) == 1 else set()
    return (SAMPLING.keys() | ({"void"} if CONDITIONS[kind].labels else set())) - alone


def changed(card, asked: dict[str, str], seed: int | None):
    """The card with what the command line asks for."""
    if isinstance(card, SampleCard):
        card = replace(card, sampling=from_dict(SamplingConfig, asked, "sampling", base=card.sampling))
    if seed is None:
        return card
    check_seed(seed, "--seed")
    return replace(card, seed=seed)


def void_as(card, label: int):
    """The card of a model that sees void in the colour of a label."""
    if not 0 <= label <= 255:
        raise InputError(f"--void: found {label}, expected a label, 0 to 255")
    return replace(card, void=label)


def planned(config: Config, method: str, task: str) -> list[Stage]:
    """The stages of a method, as the tables use them."""
    for name, among, where in ((method, config.methods, "--method"), (task, config.tasks, "--task")):
        if name not in among:
            raise InputError(unknown_key(name, among, where))
    entry = config.methods[method]
    if entry.real or entry.pictures:
        raise InputError(f"--method: found {method}, expected one that makes pictures")
    plan, stages, kind = Plan(config), [], config.tasks[task].condition
    if kind not in (taken := taken_by(plan, method) or [kind]):
        raise InputError(f"--task: found {task} of condition {kind}, expected {' or '.join(taken)} ({method})")
    try:
        last = samples_of(plan, method, task, 1.0, config.seeds[0])
    except Unavailable as reason:
        raise InputError(f"{method} on {task}: {reason}") from None
    while last:
        weights = Path(last.inputs["model"][0])
        make(plan, plan.by_path[str(weights)], ("convert_weights",))
        stages.insert(0, Stage(last.card, weights))
        last = plan.by_path[last.inputs["low_res"][0]] if "low_res" in last.inputs else None
    return stages
