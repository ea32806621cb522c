"""Checks across a configuration: every name that an entry uses must exist, and fit.

Which names are known where is said by the types of `piti.config.model`; what must fit besides, by a function a section.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from piti.cards.baselines import BASELINES
from piti.cards.train import kind_of
from piti.conditions import CONDITIONS
from piti.config.model import Config, Figure, Method, Networks
from piti.datasets.layouts import LAYOUTS
from piti.diffusion.respacing import kept_steps
from piti.evaluate.measures import MEASURES
from piti.registry import unknown_key
from piti.store.files import InputError


def check_names(config: Config) -> None:
    """Raise InputError in one line for the first name that nothing has, or that does not fit."""
    for name, where, among in names(Config, config):
        known = [key for each in among for key in (getattr(config, each) if isinstance(each, str) else each)]
        if name not in known:
            raise InputError(unknown_key(name, known, where))
    check_sizes(config.networks)
    check_networks(config)
    check_models(config)
    check_methods(config)
    check_tables(config)
    check_claims(config)
    for name, figure in config.figures.items():
        check_figure(config, figure, f"figures.{name}")
    for key in ("results", "downloads"):
        if not (found := getattr(config, key)) or found.startswith("~") or set(found) & set("{}"):  # for Snakemake
            raise InputError(f"{key}: found {found!r}, expected a folder without braces, and no ~ before it")
    for index, fraction in enumerate(config.fractions):
        if not 0.001 <= fraction <= 1:
            raise InputError(f"fractions[{index}]: found {fraction:g}, expected 0.001 to 1")
    for where, seed in seeds(config):
        check_seed(seed, where)
    if not config.seeds:
        raise InputError("seeds: found none, expected at least one")
    for name, dataset in config.datasets.items():
        if dataset.scenes and not LAYOUTS[dataset.layout].writer:
            raise InputError(
                f"datasets.{name}.scenes: found layout {dataset.layout}, expected one that scenes are written in"
            )
        other = config.datasets.get(dataset.validation)
        if other and other.path == dataset.path and (dataset.path or other.scenes == dataset.scenes):
            raise InputError(
                f"datasets.{name}.validation: found {dataset.validation}, the same test pictures, "
                "expected others, or none"
            )
    if "default" in config.datasets:
        raise InputError("datasets.default: found a data set of this name, expected another: it stands for all of them")
    if not config.left_out:
        raise InputError("left_out: found nothing, expected what the cells say that are left out")
    for metric, extractor in config.extractors.items():
        if metric in MEASURES:
            raise InputError(f"extractors.{metric}: found a measure's name, expected another")
        if extractor not in config.weights:
            raise InputError(unknown_key(extractor, config.weights, f"extractors.{metric}"))


def names(kind: Any, value: Any, where: str = "") -> Iterator[tuple[str, str, tuple]]:
    """Every name in a part of the configuration: itself, its place, and where it is known (`piti.config.model`).

    Without those that are empty, where something need not be named.
    """
    origin, args = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(value):
        hints = get_type_hints(type(value), include_extras=True)
        for field in dataclasses.fields(value):
            found = getattr(value, field.name)
            if found or dataclasses.MISSING is field.default is field.default_factory:
                yield from names(hints[field.name], found, f"{where}.{field.name}".lstrip("."))
    elif origin is Annotated:
        yield value, where, kind.__metadata__
    elif origin is tuple:
        for each in value:
            yield from names(args[0], each, where)
    elif origin is dict:
        for key, inner in value.items():
            yield from names(args[0], key, where)
            yield from names(args[1], inner, f"{where}.{key}")


def seeds(value: Any, where: str = "") -> Iterator[tuple[str, int]]:
    """Every seed in a part of the configuration: its place, and the number."""
    if dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from seeds(inner, f"{where}.{key}".lstrip("."))
    elif isinstance(value, tuple):
        for index, inner in enumerate(value):
            yield from seeds(inner, f"{where}[{index}]")
    elif isinstance(value, int) and where.rpartition(".")[2].startswith("seed"):
        yield where, value


def check_seed(seed: int, where: str) -> None:
    """Raise InputError outside 32 bits: NumPy refuses negative seeds, and reads larger ones as two numbers of a key."""
    if not 0 <= seed < 2**32:
        raise InputError(f"{where}: found {seed}, expected 0 to {2**32 - 1}")


def check_sizes(networks: Networks) -> None:
    """No number of a network is below 0, and no whole one is 0, but where its default says that 0 can be meant."""
    each = {key: getattr(networks, key) for key in ("base", "upsampler", "encoder", "text", "estimator")}
    for key, network in (each | {f"baselines.{name}": card for name, card in networks.baselines.items()}).items():
        for field in dataclasses.fields(network):
            found = getattr(network, field.name)
            least = 0 if isinstance(found, float) or field.default == 0 else 1
            if isinstance(found, int | float) and found < least:
                raise InputError(f"networks.{key}.{field.name}: found {found:g}, expected {least} or more")


def check_networks(config: Config) -> None:
    """Sizes fit: what one network hands on is what the next takes, and pictures are halved without a rest."""
    networks, encoder, text = config.networks, config.networks.encoder, config.networks.text
    image, base = networks.image_resolution, networks.base_resolution
    equal = [
        ("encoder.resolution", encoder.resolution, "image_resolution", image),
        ("base.token_width", networks.base.token_width, "encoder.width", encoder.width),
        ("upsampler.token_width", networks.upsampler.token_width, "encoder.width", encoder.width),
    ]
    if any(kind_of(model.kind).prior and not model.weights for model in config.models.values()):
        equal.append(("text.width", text.width, "encoder.width", encoder.width))
    for key, found, other, expected in equal:
        if found != expected:
            raise InputError(f"networks.{key}: found {found}, expected {expected} ({other})")
    unets = {"base": networks.base, "upsampler": networks.upsampler}
    halvings = {key: len(unet.channel_mult) - 1 for key, unet in unets.items()}
    attending = [
        (
            f"{key}.model_channels * channel_mult[{level}]",
            unet.model_channels * multiple,
            "num_head_channels",
            unet.num_head_channels,
        )
        for key, unet in unets.items()
        for level, multiple in enumerate(unet.channel_mult)
        if 2**level in unet.attention_resolutions or level == halvings[key]
    ]
    for key, found, why, factor in (
        ("image_resolution", image, "base_resolution", base),  # the degradation reduces by a whole number
        ("image_resolution", image, "encoder.strides", 2**encoder.strides),
        ("image_resolution", image, "upsampler", unets["upsampler"].patch_size * 2 ** halvings["upsampler"]),
        ("base_resolution", base, "base", unets["base"].patch_size * 2 ** halvings["base"]),
        ("encoder.width", encoder.width, "heads", encoder.heads),
        ("text.width", text.width, "heads", text.heads),
        *attending,
    ):
        if found % factor:
            raise InputError(f"networks.{key}: found {found}, expected a multiple of {factor} ({why})")


def check_models(config: Config) -> None:
    """A row's weights come from somewhere: no circle of rows, a prior's data, a baseline's steps."""
    for name, model in config.models.items():
        seen = [name]
        while (init := config.models[seen[-1]].init) in config.models:
            if init in seen:
                raise InputError(f"models.{name}.init: found a circle ({' <- '.join([*seen, init])})")
            seen.append(init)
        if model.weights:
            continue
        kind = kind_of(model.kind)
        if kind.prior and not model.dataset:
            raise InputError(f"models.{name}.dataset: found none, expected the captioned data set that it learns from")
        if kind.prior and model.init:
            raise InputError(f"models.{name}.init: found {model.init}, expected none: a prior begins at random")
        if model.init in config.models:
            alike = (kind.name,) if kind.objective == "baseline" else (kind.role, f"prior_{kind.role}")
            check_role(config, model.init, f"models.{name}.init", *alike)
        if kind.objective != "diffusion" and (found := model.condition_dropout):  # in stored labels null is class 1
            expected = "0: diffusion models alone have a null condition"
            raise InputError(f"models.{name}.condition_dropout: found {found:g} for {kind.name}, expected {expected}")
        if model.trainable != "all" and (kind.prior or kind.objective != "diffusion"):
            raise InputError(
                f"models.{name}.trainable: found {model.trainable}, expected all: {kind.name} has no encoder"
            )
        if not (model.steps or model.init or kind.objective == "baseline"):
            raise InputError(f"models.{name}.steps: found none, expected how long it trains; or init, used as it is")
        if model.converge_from and (kind.prior or kind.upsampler or kind.objective == "estimator"):
            raise InputError(f"models.{name}.converge_from: found {kind.name}, expected a base model or a baseline")
        if model.converge_from and not model.steps:
            raise InputError(f"models.{name}.steps: found none, expected the most that it may have (converge_from)")
        if kind.objective == "baseline" and not model.steps and "default" not in model.epochs:
            raise InputError(f"models.{name}.epochs: found no key default, expected it, or steps")
        for condition, view in model.views.items():
            if view not in (known := CONDITIONS[condition].views):
                raise InputError(unknown_key(view, known, f"models.{name}.views.{condition}"))
    for condition, row in config.estimators.items():
        check_role(config, row, f"estimators.{condition}", "estimator")
        if not CONDITIONS[condition].estimator_channels(num_classes=2):
            raise InputError(f"estimators.{condition}: found a condition that no estimator predicts")


def check_role(config: Config, row: str, where: str, *expected: str) -> None:
    """A row of models is what it is used as: raise InputError, at the key that names it, where it is not."""
    kind = kind_of(config.models[row].kind)
    if not {kind.name, kind.role} & set(expected):
        raise InputError(f"{where}: found {row}, whose kind is {kind.name}, expected {' or '.join(expected)}")


def check_methods(config: Config) -> None:
    """A method makes its pictures in one way, by models of the kinds that takes, in steps that they have."""
    for name, method in config.methods.items():
        ways = [way for way in ("pictures", "real", "generator", "base") if getattr(method, way)]
        if len(ways) > 1:
            raise InputError(f"methods.{name}: found {ways[0]} and {ways[1]}, expected one of them")
        if method.upsampler and ways and ways[0] not in ("real", "base"):
            found = f"found {method.upsampler}, expected none beside {ways[0]}"
            raise InputError(f"methods.{name}.upsampler: {found}")
        for key, row in method.models.items():
            check_role(config, row, f"methods.{name}.{key}", "baseline" if key == "generator" else key)
        check_steps(config, method, f"methods.{name}.")
        kind = config.models[method.generator].kind if method.generator else ""
        taken = BASELINES[kind].conditions if kind in BASELINES else ()
        if taken and (others := [condition for condition in method.conditions if condition not in taken]):
            raise InputError(
                f"methods.{name}.conditions: found {others[0]}, expected what {kind} takes: {', '.join(taken)}"
            )


def check_steps(config: Config, method: Method, where: str) -> None:
    """A method's samplers take steps that its models have. The error names the method's own key, or the common one."""
    for row, key in ((method.base, "base_respacing"), (method.upsampler, "upsampler_respacing")):
        respacing = getattr(method.sampling, key)
        own = respacing != getattr(config.sampling, key)
        try:
            kept_steps(config.models[row].diffusion_steps if row else 1000, respacing)
        except InputError as error:
            raise InputError(f"{where if own else ''}sampling.{key}: {error}") from None


def check_tables(config: Config) -> None:
    """Each cell says what it measures; the paper's numbers are for rows that the table has, one for each column."""
    for name, table in config.tables.items():
        for row, column in itertools.product(table.rows, table.columns):
            said = (table.run, table.rows[row], table.columns[column])
            for key in ("method", "task", "metric"):
                if not any(getattr(run, key) for run in said):
                    raise InputError(f"tables.{name}: {row}, {column}: {key}: found none, expected one of {key}s")
        if name.endswith(".long"):
            raise InputError(
                f"tables.{name}: found a name in .long, expected another: it names the long form of a table"
            )
        for key in ("rows", "columns"):
            if not getattr(table, key):
                raise InputError(f"tables.{name}.{key}: found none, expected at least one")
        for row, run in table.rows.items():
            if run.metric:  # a column's heading says what it measures
                expected = "it in `columns`, or in `run` for all"
                raise InputError(f"tables.{name}.rows.{row}.metric: found {run.metric}, expected {expected}")
        for row, values in table.paper.items():
            where = f"tables.{name}.paper"
            if row not in table.rows:
                raise InputError(unknown_key(row, table.rows, where))
            if len(values) != len(table.columns):
                raise InputError(f"{where}.{row}: found {len(values)} values, expected {len(table.columns)}")


def check_claims(config: Config) -> None:
    """A claim orders two runs or more, each of a method, by one metric, on tasks of its own."""
    for name, claim in config.claims.items():
        if not claim.metric:
            raise InputError(f"claims.{name}.metric: found none, expected one of metrics")
        if len(claim.order) < 2:
            raise InputError(f"claims.{name}.order: found {len(claim.order)} runs, expected two or more")
        for index, run in enumerate(claim.order):
            if not run.method:
                raise InputError(f"claims.{name}.order[{index}].method: found none, expected one of methods")
            for key, whole in {"task": "tasks", "metric": "metric"}.items():
                if found := getattr(run, key):
                    where = f"claims.{name}.order[{index}].{key}"
                    raise InputError(f"{where}: found {found}, expected it in the claim's own {whole}")
            if run.seeds and claim.seeds:
                where = f"claims.{name}.order[{index}].seeds"
                raise InputError(f"{where}: found {list(run.seeds)}, expected none beside the claim's own seeds")


def check_figure(config: Config, figure: Figure, where: str) -> None:
    """Pictures of a figure's own are drawn by diffusion models; edits by deterministic ones, of labels.

    Small pictures, and the images that are followed worst, are those of its last method.
    """
    methods, low_res = [column for column in figure.columns if column in config.methods], "low_res" in figure.columns
    for key, asked in {"columns: found low_res": low_res, "worst: found one": figure.worst}.items():
        if asked and not methods:
            raise InputError(f"{where}.{key}, expected a method among the columns, whose it is")
    if low_res and not config.methods[methods[-1]].base:
        raise InputError(f"{where}.columns: found low_res, expected a base model behind {methods[-1]}, the last method")
    for key in ("seeds", "edits"):
        if figure.worst and getattr(figure, key):  # pictures of its own, of images that nobody has measured
            raise InputError(f"{where}.worst: found one beside {key}, expected one of them")
    for column in (*figure.columns, *figure.headings):
        method = config.methods.get(column)
        if figure.seeds and method and not method.base:
            raise InputError(f"{where}.seeds: found {column}, expected diffusion models alone")
        if figure.edits and not (
            method and method.base and (method.sampling.base_sampler, method.sampling.eta) == ("ddim", 0)
        ):
            raise InputError(f"{where}.columns: found {column}, expected diffusion models with ddim, eta 0")
    for task in figure.tasks if figure.edits else ():
        if not CONDITIONS[config.tasks[task].condition].labels:
            raise InputError(f"{where}.tasks: found {task}, expected one with labels, which edits change")
        last = config.datasets[config.tasks[task].dataset].num_classes - 1
        for name, edit in figure.edits.items():
            for key in ("label", "to"):
                if not 0 <= (label := getattr(edit, key)) <= last:
                    raise InputError(f"{where}.edits.{name}.{key}: found {label}, expected 0 to {last} ({task})")
