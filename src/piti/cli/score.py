"""Score a folder of pictures against a task's real test images, with the metrics of the tables.

  piti score --pictures pictures/ --task ade20k_mask
  piti score --pictures pictures/ --task ade20k_mask --metric fid_i --reference theirs.npz
  piti score --task ade20k_mask --metric fid_i --write-reference ours.npz

Each picture is named as its test image. A reference is the .npz of pytorch-fid and clean-fid: mean `mu` and covariance
`sigma` of features. Against a reference there is no KID.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from piti.cli.making import make
from piti.config import Config, Method, Run
from piti.evaluate.measures import MEASURES
from piti.plan import Plan, Unavailable
from piti.plan.data import packed
from piti.plan.samples import samples_of
from piti.plan.scores import features_of, score_of
from piti.plan.tables import head
from piti.registry import unknown_key
from piti.store.files import InputError, read_json
from piti.units import decimals, number

NAME = "pictures"  # of the method whose pictures they are


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--pictures", type=Path, metavar="DIR")
    parser.add_argument("--task", required=True, help="as in experiments.yaml")
    parser.add_argument("--metric", help="as in experiments.yaml, or a measure of alignment; all that fit if not given")
    parser.add_argument("--reference", type=Path, metavar="NPZ", help="compare with these, not with the real images")
    parser.add_argument("--write-reference", type=Path, metavar="NPZ", help="write those of the real images")


def run(arguments: Namespace, config: Config) -> None:
    if arguments.task not in config.tasks:
        raise InputError(unknown_key(arguments.task, config.tasks, "--task"))
    if (metric := arguments.metric) not in (None, *config.extractors, *MEASURES):
        raise InputError(unknown_key(metric, [*config.extractors, *MEASURES], "--metric"))
    kind = config.tasks[arguments.task].condition
    if metric in MEASURES and (found := MEASURES[metric].condition) != kind:
        raise InputError(f"--metric: found {metric}, a measure for {found}, expected one for {kind} ({arguments.task})")
    if (arguments.reference or arguments.write_reference) and metric not in config.extractors:
        raise InputError(f"--metric: found {metric}, expected whose reference it is: {', '.join(config.extractors)}")
    if arguments.pictures is None and not arguments.write_reference:
        raise InputError("--pictures: found none, expected a folder")
    if arguments.pictures is None and arguments.reference:
        raise InputError(f"--reference: found {arguments.reference}, expected it with --pictures alone")
    if arguments.write_reference:
        write_reference(config, arguments.task, metric, arguments.write_reference)
    if arguments.pictures is None:
        return
    method = Method(label=arguments.pictures.name, pictures={arguments.task: str(arguments.pictures)})
    plan = Plan(replace(config, methods=config.methods | {NAME: method}))
    try:
        pictures = make(plan, samples_of(plan, NAME, arguments.task, 1.0, config.seeds[0]))
    except Unavailable as reason:
        raise InputError(f"{arguments.task}: {reason}") from None
    for remark in read_json(pictures)["attributes"].get("remarks", ()):
        print(f"note: {remark}", file=sys.stderr)
    for line in scores(plan, arguments.task, metric, arguments.reference):
        print(line, flush=True)


def scores(plan: Plan, task: str, metric: str | None, reference: Path | None) -> Iterator[str]:
    """A line for each metric; what cannot be measured here is said on stderr, unless it was asked for."""
    for name in [metric] if metric else [*plan.config.extractors, *MEASURES]:
        try:
            if reference:
                yield against(plan, task, name, reference)
                continue
            score = score_of(plan, Run(method=NAME, task=task, metric=name), plan.config.seeds[0])
            yield spelt(name, head(plan, Run(metric=name)), read_json(make(plan, score)))
        except Unavailable as reason:
            if metric:
                raise InputError(f"{metric} of {task}: {reason}") from None
        except InputError as error:
            if metric or "not there yet" not in str(error):
                raise
            print(f"{name}: left out: {error}", file=sys.stderr)


def against(plan: Plan, task: str, metric: str, reference: Path) -> str:
    """The distance from statistics out of a file."""
    from piti.evaluate.features import read_features
    from piti.evaluate.reference import read, score

    samples = samples_of(plan, NAME, task, 1.0, plan.config.seeds[0])
    fake = read_features(make(plan, features_of(plan, samples, plan.config.extractors[metric])))
    return spelt(metric, head(plan, Run(metric=metric)), score(read(reference), fake, plan.config.min_images))


def write_reference(config: Config, task: str, metric: str, file: Path) -> None:
    """The statistics of a task's real test images."""
    from piti.evaluate.features import read_features
    from piti.evaluate.reference import write

    plan = Plan(config)
    try:
        photographs = packed(plan, config.tasks[task].dataset, "test", "images")
    except Unavailable as reason:
        raise InputError(f"{task}: {reason}") from None
    features = read_features(make(plan, features_of(plan, photographs, config.extractors[metric])))
    write(file, features)
    print(f"{file}: mu and sigma of {len(features.ids):,} real test images by {features.spec.name}")


def spelt(metric: str, head: str, score: dict) -> str:
    """A score as one line. z: what rounds to zero has no sign."""
    low, high = score["interval"]
    value, low, high = (f"{one:z.{decimals(high - low)}f}" for one in (score["value"], low, high))
    kid = f", KID {number(score['kid'])}" if "kid" in score else ""
    name, layer = score["extractor"]["name"], score["extractor"]["layer"]
    measured = f", measured by {name} ({layer})" if name else ""  # the pictures alone say some measures
    return (
        f"{metric}: {head} {value} (95 % interval {low} to {high}), n = {score['n']}{kid}; "
        f"reference {score['reference']}{measured}"
    )
