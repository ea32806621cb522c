# Everything the other rule files share: the plan, and how a rule finds its artefact in it by digest.
import filecmp
import os
import re
import shlex
import sys
import tempfile
from glob import glob
from pathlib import Path

# The steps run with this interpreter and this checkout, activated environment or not.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
os.environ["PYTHONPATH"] = os.pathsep.join([f"{workflow.basedir}/src", os.environ.get("PYTHONPATH", "")]).rstrip(":")
os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")  # several jobs at once beat several threads a job
sys.path.insert(0, f"{workflow.basedir}/src")

from snakemake.exceptions import WorkflowError

from piti.cards.base import dumps
from piti.cli.check import said_at_start
from piti.config import load
from piti.store.files import InputError
from piti.run.launch import gpus_of
from piti.plan import report as plan_report, resolve, runs  # `report` is Snakemake's own word
from piti.plan.cost import Costs
from piti.plan.gpu import DEFAULT

# A job that was submitted does what was submitted, whatever becomes of the configuration until it starts: it plans nothing.
SUBMITTED = None if workflow.is_main_process else os.environ.get("PITI_RUN")
try:
    submitted = runs.recall(Path(SUBMITTED)) if SUBMITTED else None
    settings = submitted.config if submitted else load(config, Path(workflow.basedir) / "config")
    plan, planned_tables, planned_figures = resolve(settings)
except InputError as error:
    raise WorkflowError(f"configuration: {error}")

# The user's own files that are no longer what was packed from them are named at once, and no work begins on them.
FATAL = []
if workflow.is_main_process and any(
    step in ("pack", "convert_weights") and Path(a.path).exists() for (step, _), a in plan.artefacts.items()
):
    from piti.cli.drift import drifts

    for drift in drifts(plan):
        print(drift.text, file=sys.stderr)
        FATAL += [drift.text] * drift.fatal


if FATAL and "--no-hooks" in sys.argv:  # then `onstart` does not run
    raise WorkflowError(f"no work begins on data that have changed: {FATAL[0]}")

machine = settings.machine
RESULTS = settings.results
DOWNLOADS = settings.downloads
AHEAD = Costs(plan, DEFAULT).ahead()
NOW = tempfile.NamedTemporaryFile(prefix="piti-")  # goes with this process; see `outdated`
GPUS = (1 if glob("/dev/nvidia[0-9]*") else 0) if machine.gpus == "auto" else machine.gpus


wildcard_constraints:
    name="[^/]+",
    digest="[0-9a-f]{10}",


onstart:  # one block: Snakemake keeps the last
    if workflow.is_main_process:
        said_at_start(plan)
        if FATAL:
            raise WorkflowError(f"no work begins on data that have changed: {FATAL[0]}")
        os.environ["PITI_RUN"] = str(runs.remember(plan))


def artefact(step, wildcards):
    try:
        planned = submitted.artefact if submitted else lambda *key: plan.artefacts.get(key)
        found = planned(step, wildcards.digest)
    except InputError as error:
        raise WorkflowError(f"submitted: {error}")
    if not found:
        raise WorkflowError(f"{step}: no artefact {wildcards.name}/{wildcards.digest} in this configuration")
    return found


def forced(found):
    """Whether somebody wants this made again: all (-F), its step or one of its files (-R), or it as a target (-f)."""
    how = workflow.dag_settings
    asked = {*how.forcerun, *(how.targets if how.forcetargets else ())}
    folder = os.path.abspath(os.path.dirname(found.path))
    return how.forceall or found.step in asked or any(os.path.dirname(os.path.abspath(one)) == folder for one in asked)


def files(step):
    """Named inputs of a step. A path holds the digest of what made it, so a newer file is no reason to make it again.

    Nor is a missing one: what is there asks for nothing that is not, and the graph ends at what exists; but for what is
    to be made again.
    """

    def inputs(wildcards):
        found = artefact(step, wildcards)
        done = workflow.is_main_process and Path(found.path).exists() and not forced(found)
        return {key: ancient([p for p in paths if not done or Path(p).exists()]) for key, paths in found.inputs.items()}

    return inputs


def urgency(step):
    """Priority of a step's jobs: what the longest work waits for is made first, above all the priors."""
    return lambda wildcards: AHEAD.get(artefact(step, wildcards).path, 0)


def gpus(resources):
    """How many GPUs a job asks for, of each node: by SLURM's `gres`, or `gpu`. None where nobody says: whatever is there,
    for not every GPU shows in /dev. 0, which forbids it, is the user's word alone: `machine: {gpus: 0}`."""
    return 0 if machine.gpus == 0 else gpus_of(resources.get("gres", "")) or resources.gpu or None


def command(step):
    """The command line of a step: its card, its GPUs, its named inputs, and the paths that the user has given."""

    def arguments(wildcards, resources):
        found = artefact(step, wildcards)
        named = found.inputs | {key: [given] for key, given in found.given.items()}
        options = [
            f"--{key.replace('_', '-')} {' '.join(map(shlex.quote, paths))}" for key, paths in named.items() if paths
        ]
        if "gpu" in resources.keys() and (asked := gpus(resources)) is not None:
            options.append(f"--gpus {asked}")
        return f"python -m piti.steps.{step} --card {shlex.quote(dumps(found.card))} {' '.join(options)}"

    return arguments


def path(leg, file):
    return f"{RESULTS}/{leg}/{{name}}/{{digest}}/{file}"


def log_of(step):
    return f"{RESULTS}/logs/{step}/{{name}}/{{digest}}.log"


def benchmark_of(step):
    return f"{RESULTS}/benchmarks/{step}/{{name}}/{{digest}}.jsonl"
