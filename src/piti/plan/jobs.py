"""What a job asks for where it is submitted, of the section `jobs` of the configuration: the narrower word counts.

The rules ask here, and so may whoever says it beforehand.
"""

import re
from collections.abc import Iterable, Mapping

from piti.cards.train import row_of
from piti.config import Jobs
from piti.plan.core import Artefact
from piti.plan.steps import STEPS
from piti.store.files import InputError


def here(jobs: Jobs) -> set[str]:
    """The steps whose jobs run where Snakemake was started. Raises InputError for one that takes a GPU."""
    for name in jobs.here:
        if STEPS[name].computes:
            raise InputError(f"jobs.here: found {name}, which computes on a GPU, expected steps on CPUs")
    return {name for name, step in STEPS.items() if step.local} | {*jobs.here}


def asked(jobs: Jobs, step: str, name: str) -> dict[str, int | str]:
    """By resource. name: the artefact's."""
    layers = [jobs.default]
    if STEPS[step].computes:
        layers.append(jobs.computing)
    if step in jobs.steps:
        layers.append(jobs.steps[step])
    if step == "train" and (row := row_of(jobs.models, name)):
        layers.append(jobs.models[row])
    found: dict[str, int | str] = {}
    for layer in layers:
        said = {key: value for key, value in vars(layer).items() if value is not None}
        # two ways to ask for GPUs: one counts, the narrower, and `gres`
        if by_gres := asks_for_gpus(layer.gres or ""):
            found.pop("gpu", None)
            said.pop("gpu", None)
        if layer.gpu is not None and not by_gres and asks_for_gpus(found.get("gres", "")):
            found.pop("gres")
        found |= said
    if not found.get("gpu"):  # by itself the model would ask for one
        found.pop("gpu_model", None)
    return found


def refuse_impossible(jobs: Jobs, artefacts: Iterable[Artefact]) -> None:
    """Raise InputError for `gpu` on several nodes: it counts over all, so a job's first step, on one, cannot start."""
    for artefact in artefacts:
        said = asked(jobs, artefact.step, artefact.name)
        gpus, nodes = said.get("gpu", 0), said.get("nodes", 1)
        if gpus and nodes > 1:
            found = f"gpu: {gpus} on nodes: {nodes} for {artefact.step} {artefact.name}"
            raise InputError(f'jobs: found {found}, expected GPUs of each node, gres: "gpu:{max(gpus // nodes, 1)}"')


def asks_for_gpus(gres: str) -> bool:
    """Whether SLURM's `gres` asks for GPUs, or for parts of one: "gpu:2", "shard:8", "mps:50", and not "nvme:1"."""
    return any(re.split(r"[:(]", each)[0] in ("gpu", "shard", "mps") for each in gres.split(","))


def gpus_of(said: Mapping[str, int | str]) -> int | None:
    """How many GPUs that means: by SLURM's `gres`, else `gpu`. None: it does not say.

    "gpu", "gpu:4", "gpu:a100", "gpu:2g.20gb:1(S:0-1)": the count is last.
    """
    kinds = [re.sub(r"\(.*", "", each).split(":") for each in said.get("gres", "").split(",")]
    by_gres = sum(int(last[-1]) if last and last[-1].isdigit() else 1 for kind, *last in kinds if kind == "gpu")
    return by_gres or said.get("gpu")


def memory_of(said: Mapping[str, int | str]) -> int:
    """How much memory that means on each node, MB: by the CPU where that is said, as sbatch is told."""
    return said.get("mem_mb_per_cpu", 0) * said.get("cpus_per_task", 1) or said.get("mem_mb", 0)
