# Everything the other rule files share: the plan, and how a rule finds its artefact in it by digest.
import os
import re
import shlex
import sys
from glob import glob
from pathlib import Path

# The steps run with this interpreter and this checkout, activated environment or not.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
os.environ["PYTHONPATH"] = os.pathsep.join([f"{workflow.basedir}/src", os.environ.get("PYTHONPATH", "")]).rstrip(":")
os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")  # several jobs at once beat several threads a job
sys.path.insert(0, f"{workflow.basedir}/src")

from snakemake.exceptions import WorkflowError

from piti.card import dumps
from piti.cli.check import said_at_start
from piti.config import load
from piti.files import InputError
from piti.plan import report as plan_report, resolve  # `report` is Snakemake's own word
from piti.plan.cost import Costs
from piti.plan.gpu import DEFAULT

try:
    settings = load(config, Path(workflow.basedir) / "config")
    plan, planned_tables, planned_figures = resolve(settings)
except InputError as error:
    raise WorkflowError(f"configuration: {error}")


onstart:
    said_at_start(plan)


machine = settings.machine
RESULTS = settings.results
DOWNLOADS = settings.downloads
AHEAD = Costs(plan, DEFAULT).ahead()
GPUS = (1 if glob("/dev/nvidia[0-9]*") else 0) if machine.gpus == "auto" else machine.gpus


wildcard_constraints:
    name="[^/]+",
    digest="[0-9a-f]{10}",


def artefact(step, wildcards):
    try:
        return plan.artefacts[step, wildcards.digest]
    except KeyError:
        raise WorkflowError(f"{step}: no artefact {wildcards.name}/{wildcards.digest} in this configuration")


def files(step):
    """Named inputs of a step. A path holds the digest of what made it, so a newer file is no reason to make it again."""
    return lambda w: {key: ancient(list(paths)) for key, paths in artefact(step, w).inputs.items()}


def urgency(step):
    """Priority of a step's jobs: what the longest work waits for is made first, above all the priors."""
    return lambda wildcards: AHEAD[artefact(step, wildcards).path]


def gpus(resources):
    """How many GPUs a job asks for, of each node: by `gpu`, or SLURM's own `gres`; none with `machine: {gpus: 0}`."""
    gres = re.search(r"gpu(?:[^,]*:(\d+))?", resources.get("gres", ""))
    return 0 if machine.gpus == 0 else int(gres[1] or 1) if gres else resources.gpu


def command(step):
    """The command line of a step: its card, its GPUs, its named inputs, and the paths that the user has given."""

    def arguments(wildcards, resources):
        found = artefact(step, wildcards)
        named = found.inputs | {key: [given] for key, given in found.given.items()}
        options = [
            f"--{key.replace('_', '-')} {' '.join(map(shlex.quote, paths))}" for key, paths in named.items() if paths
        ]
        if "gpu" in resources.keys():
            options.append(f"--gpus {gpus(resources)}")
        return f"python -m piti.steps.{step} --card {shlex.quote(dumps(found.card))} {' '.join(options)}"

    return arguments


def path(leg, file):
    return f"{RESULTS}/{leg}/{{name}}/{{digest}}/{file}"


def log_of(step):
    return f"{RESULTS}/logs/{step}/{{name}}/{{digest}}.log"


def benchmark_of(step):
    return f"{RESULTS}/benchmarks/{step}/{{name}}/{{digest}}.jsonl"
