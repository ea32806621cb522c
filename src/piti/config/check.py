"""Names that one entry of a configuration uses for another must exist, and fit."""

from piti.conditions import CONDITIONS
from piti.config.model import SHOWN, Config
from piti.datasets.layouts import LAYOUTS
from piti.diffusion.respacing import kept_steps
from piti.evaluate.measures import DISTANCES, MEASURES
from piti.registry import unknown_key
from piti.store.files import InputError


def check_names(config: Config) -> None:
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
    for name, dataset in config.datasets.items():
        known(dataset.layout, f"datasets.{name}.layout", LAYOUTS)
    for name, task in config.tasks.items():
        known(task.dataset, f"tasks.{name}.dataset", config.datasets)
        known(task.condition, f"tasks.{name}.condition", CONDITIONS)
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
            if not CONDITIONS[config.tasks[task].condition].labels:
                raise InputError(f"figures.{name}.tasks: found {task}, expected one with labels, which edits change")
    for name, claim in config.claims.items():
        known(claim.metric, f"claims.{name}.metric", config.extractors, MEASURES)
        for task in claim.tasks:
            known(task, f"claims.{name}.tasks", config.tasks)
        for run in claim.order:
            known(run.method, f"claims.{name}.order", config.methods)
