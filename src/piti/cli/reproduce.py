"""Make everything of a configuration by Snakemake; say how long the rest takes, and at the end what it cost.

When an earlier run was killed, what it left (Snakemake's lock, incomplete files) is cleared up and finished.

    make reproduce          is          piti reproduce --config preset=smoke
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from piti.config import Config
from piti.plan import Artefact, resolve
from piti.plan.copies import copies
from piti.plan.cost import CPU, Costs
from piti.plan.gpu import DEFAULT
from piti.run.gpus import shared
from piti.store.files import InputError, clock
from piti.store.lease import lease
from piti.units import span

PATIENCE = 60  # seconds between two words on how long it takes
STARTING = 2  # seconds that a job takes besides its operations, on two cores: Python, torch, its files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has no options of its own."""


def run(arguments: argparse.Namespace, config: Config) -> None:
    results = Path(config.results)
    results.mkdir(parents=True, exist_ok=True)
    snakemake = str(Path(sys.executable).with_name("snakemake"))
    with lease(results / "reproduce.lease", patience=0):
        refuse_another_snakemake()
        shutil.rmtree(".snakemake/locks", ignore_errors=True)  # a dead run's
        began, started = time.monotonic(), clock(results)
        plan, tables, figures = resolve(config)
        shown = copies(plan, tables, figures)
        file = ["--configfile", str(arguments.configfile)] if arguments.configfile else []
        command = [snakemake, "--quiet", "rules", "host", *file, "--config", *arguments.config, "--", "all"]
        for again in (True, False):
            costs = Costs(plan, DEFAULT if shared(config.machine.gpus) else CPU)
            with (
                subprocess.Popen(command, env=os.environ | {"PYTHONUNBUFFERED": "1"}) as process,
                ended_with_us(process),
            ):
                code = watch(process, costs, (tables | figures).values())
            if code:
                sys.exit(code)
            # A job that was killed as it ended is done again, and of what waits for it Snakemake then plans nothing.
            if not (missing := [name for name in shown if not Path(name).exists()]):
                break
            if not again:
                raise InputError(f"{missing[0]}: not there after all jobs")
    print_cost(results, began, started)


def refuse_another_snakemake() -> None:
    """Raise InputError where one lives that works in this folder: its locks are not ours to remove."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            words = (process / "cmdline").read_bytes().split(b"\0")[:3]
            if b"snakemake" in map(os.path.basename, words) and (process / "cwd").samefile("."):
                raise InputError(f"{Path.cwd()}: found Snakemake at work here, process {process.name}, expected none")


@contextlib.contextmanager
def ended_with_us(process: subprocess.Popen) -> Iterator[None]:
    """A SIGTERM for us is for the process too: left alone it would go on, and whoever begins anew would meet it."""
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def watch(process: subprocess.Popen, costs: Costs, targets: Iterable[Artefact]) -> int:
    """Its exit code; until then say every minute how long the rest will take at its pace so far."""
    ends = [target.path for target in targets]

    def work() -> float:
        todo = costs.todo(ends)
        return 3600 * costs.left(todo) + STARTING * len(todo)

    began, whole = time.monotonic(), work()
    while True:
        try:
            return process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            left = work()
        if left < whole:
            minutes = (time.monotonic() - began) * left / (whole - left) / 60
            print(f"{1 - left / whole:.0%} of this run's work done, about {minutes:.0f} min left", flush=True)


def print_cost(results: Path, began: float, started: float) -> None:
    """Wall seconds of this run, and of each rule the jobs that it ran, from the rules' own benchmarks."""
    jobs = defaultdict(list)
    for file in results.glob("benchmarks/*/*/*.jsonl"):
        if file.stat().st_mtime >= started:
            jobs[file.parts[-3]].append(json.loads(file.read_text().splitlines()[-1]))
    print(f"\n{'rule':<18}{'jobs':>6}{'seconds':>10}{'CPU seconds':>13}")
    for rule, rows in sorted(jobs.items(), key=lambda item: -sum(row["s"] for row in item[1])):
        wall, cpu = (sum(float(row[key]) for row in rows if row[key] != "NA") for key in ("s", "cpu_time"))
        print(f"{rule:<18}{len(rows):>6}{wall:>10.1f}{cpu:>13.1f}")
    print(f"{results}: everything is there, after {span((time.monotonic() - began) / 3600)}.")
