# The configuration, the plan that follows from it, and what happens before work begins.
import os
import re
import shlex
import sys
import tempfile
from functools import cache
from itertools import takewhile
from pathlib import Path

# The steps run with this interpreter and this checkout, activated environment or not.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
os.environ["PYTHONPATH"] = os.pathsep.join([f"{workflow.basedir}/src", os.environ.get("PYTHONPATH", "")]).rstrip(":")
os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")  # several jobs at once beat several threads a job
sys.path.insert(0, f"{workflow.basedir}/src")

from snakemake.exceptions import WorkflowError
from snakemake.logging import LogEvent, logger

from piti.cli.check import said_at_start, too_long
from piti.config import load, read_yaml
from piti.store.files import InputError
from piti.run.gpus import shared
from piti.plan import resolve, runs
from piti.plan.copies import copies, current
from piti.plan.cost import CPU, Costs
from piti.plan.gpu import DEFAULT
from piti.plan.jobs import asked, gpus_of, here
from piti.plan.models import trained
from piti.plan.steps import STEPS

# A job that was submitted does what was submitted, whatever becomes of the configuration until it starts: it plans nothing.
SUBMITTED = None if workflow.is_main_process else os.environ.get("PITI_RUN")
try:
    for file in () if SUBMITTED else map(Path, workflow.configfiles):
        read_yaml(file)  # refuses what Snakemake would read as something else: a key that is there twice
    submitted = runs.recall(Path(SUBMITTED)) if SUBMITTED else None
    settings = submitted.config if submitted else load(config, Path(workflow.basedir) / "config")
    plan, planned_tables, planned_figures = resolve(settings)
    COPIES = {} if submitted else copies(plan, planned_tables, planned_figures)
    LOCAL = here(settings.jobs)
except InputError as error:
    raise WorkflowError(f"configuration: {error}")

# What this job was to make is whole by now: somebody else's job, for which it gave its GPUs back, has made it. To begin would
# remove it first.
if submitted and "PITI_FORCED" not in os.environ and "--target-jobs" in sys.argv:
    words = takewhile(lambda word: word[:2] != "--", sys.argv[sys.argv.index("--target-jobs") + 1 :])
    targets = [submitted.artefact(*re.fullmatch(r"(\w+):.*\bdigest=(\w+).*", word).groups()) for word in words]
    if all(target and target.whole for target in targets):
        print("already made:", *(target.path for target in targets), file=sys.stderr, flush=True)
        os._exit(0)  # Snakemake takes an exit for an error of the file

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
NOW = tempfile.NamedTemporaryFile(prefix="piti-")  # goes with this process; see `outdated`

# Jobs on this machine share its GPUs: no more are started than it has shares of GPUs for. `--jobs` may be for another machine.
GPUS = 0
if workflow.is_main_process:
    GPUS = shared(machine.gpus)
    if GPUS and workflow.resource_settings.nodes is None:
        workflow.global_resources.setdefault("gpu", GPUS * machine.jobs_per_gpu)


@cache
def costs():
    """Of the plan, on GPUs where there are any: here, or where jobs are submitted. Reckoned once, when they are asked for."""
    return Costs(plan, DEFAULT if GPUS or elsewhere() else CPU)


def with_tails(record):
    """A failed job is shown with the last lines of its logs; `show-failed-logs` would print a week of them."""
    if getattr(record, "event", None) == LogEvent.JOB_ERROR:
        for log in filter(os.path.exists, record.log):
            lines = Path(log).read_text(errors="replace").splitlines()[-30:]
            record.aux[f"end of {log}"] = "".join(f"\n        {line}" for line in lines)
    return True


if workflow.is_main_process:
    logger.addFilter(with_tails)


def jobs_of_steps():
    """What the jobs of this run make."""
    jobs = [job for job in workflow.dag.needrun_jobs() if job.rule.name in STEPS]
    return [plan.artefacts[job.rule.name, job.wildcards.digest] for job in jobs]


wildcard_constraints:
    name="[^/]+",
    digest="[0-9a-f]{10}",
    file="[^/]+",


onstart:  # one block: Snakemake keeps the last
    if workflow.is_main_process:
        said_at_start(plan, costs())
        if not (elsewhere() or workflow.touch) and (reason := too_long(costs(), jobs_of_steps(), GPUS)):
            raise WorkflowError(f"this run: {reason}")
        if FATAL:
            raise WorkflowError(f"no work begins on data that have changed: {FATAL[0]}")
        try:
            os.environ["PITI_RUN"] = str(runs.remember(plan))
        except OSError as error:
            raise WorkflowError(f"{error.filename}: {error.strerror}")
        how = workflow.dag_settings
        if how.forceall or how.forcerun or how.forcetargets:
            os.environ["PITI_FORCED"] = "1"
