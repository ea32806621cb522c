"""What a job asks for where it is submitted, of the section `jobs` of the configuration: the narrower word counts.

The rules ask here, and so may whoever says it beforehand.
"""

from piti.config import Jobs
from piti.plan.steps import STEPS
from piti.store.files import InputError


def here(jobs: Jobs) -> set[str]:
    """The steps whose jobs run where Snakemake was started. Raises InputError for one that takes a GPU."""
    for name in jobs.here:
        if STEPS[name].computes:
            raise InputError(f"jobs.here: found {name}, which computes on a GPU, expected steps on CPUs")
    return {name for name, step in STEPS.items() if step.local} | {*jobs.here}


def asked(jobs: Jobs, step: str, name: str) -> dict[str, int | str]:
    """By resource. name: the artefact's, whose first word is a training's row of models.yaml."""
    layers = [jobs.default]
    if STEPS[step].computes:
        layers.append(jobs.computing)
    if step in jobs.steps:
        layers.append(jobs.steps[step])
    if step == "train" and (rows := [row for row in jobs.models if f"{name}-".startswith(f"{row}-")]):
        layers.append(jobs.models[max(rows, key=len)])
    found: dict[str, int | str] = {}
    for layer in layers:
        said = {key: value for key, value in vars(layer).items() if value is not None}
        if layer.gpu is not None or layer.gres:  # two ways to ask for GPUs: one counts, the narrower, and `gres`
            found = {key: value for key, value in found.items() if key not in ("gpu", "gres")}
            said.pop("gpu" if layer.gres else "gres", None)
        found |= said
    return found
