"""Inject faults into every step and see that nothing is lost, nothing wrong is left, and nothing hangs.

    python -m tests.faults --seed 1 --count 240           # `make faults`
    python -m tests.faults --seed 1 --only 17 18          # these two again, as they were

Steps run in forked children of this process, which has torch loaded: it is the same code on the same command line, but
an interpreter does not start and import 240 times. `tests/flow/test_faults.py` kills real processes under Snakemake.
"""

import argparse
import collections
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import cv2  # noqa: F401  what steps import, once for all of them
import matplotlib.pyplot  # noqa: F401
import pandas  # noqa: F401
import scipy.stats  # noqa: F401
import timm  # noqa: F401
import torch
import torch.utils.tensorboard

from tests.faults import scenarios
from tests.faults.process import Wrong
from tests.faults.workspace import Job, prepare

TOO_LATE = "not begun: the time is up"
Injection = tuple[scenarios.Scenario, Job | None]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=240)
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="the numbers of injections to be done alone")
    parser.add_argument("--minutes", type=float, default=20, help="no new injection begins after so long")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="piti-faults-") as name:
        sys.exit(run(arguments, Path(name)))


def run(arguments: argparse.Namespace, folder: Path) -> int:
    """Prepare, inject, report. The exit code is 1 where something is wrong or the time did not suffice."""
    began = time.monotonic()
    jobs = prepare(folder)
    print(f"{len(jobs)} jobs made in {time.monotonic() - began:.0f} s, seed {arguments.seed}", flush=True)
    before = scenarios.contents(folder)
    why_not = scenarios.can_mount(folder)
    if why_not:
        print(f"left out: full and read-only disks: {why_not}")
    plan = draw(arguments.seed, arguments.count, jobs, bool(why_not))
    numbers = arguments.only or range(len(plan))
    done, wrong, left = collections.Counter(), [], 0
    with multiprocessing.get_context("fork").Pool(arguments.jobs) as pool:
        tasks = [(n, arguments.seed, folder, *plan[n], began + 60 * arguments.minutes) for n in numbers]
        for number, text, failed in pool.imap_unordered(one, tasks):
            if text == TOO_LATE:
                left += 1
                continue
            name, job = plan[number][0].name, plan[number][1]
            said = ": ".join(str(part) for part in (name, job, text) if part)
            print(f"{number:>4} {'WRONG' if failed else 'ok   '} {said}", flush=True)
            done[name] += 1
            wrong += [number] if failed else []
    if changed := [name for name, content in scenarios.contents(folder).items() if before.get(name) != content]:
        print(f"WRONG: inputs were changed: {', '.join(changed[:5])}")
        wrong.append(-1)
    print(", ".join(f"{name} {count}" for name, count in sorted(done.items())))
    if wrong:
        print(f"wrong: again by --seed {arguments.seed} --count {arguments.count} --only {' '.join(map(str, wrong))}")
    late = f", {left} not begun in {arguments.minutes:g} minutes" if left else ""
    print(f"{sum(done.values())} faults injected, {len(wrong)} wrong{late}, {time.monotonic() - began:.0f} s")
    return 1 if wrong or left else 0


def draw(seed: int, count: int, jobs: list[Job], no_disks: bool) -> list[Injection]:
    """Which injections, in which order: every scenario by its share, and for each the steps in turn."""
    rng, drawn = random.Random(seed), []
    turns = {}
    shares = [s for s in scenarios.SCENARIOS if not (s.needs_disk and no_disks) for _ in range(s.share)]
    while len(drawn) < count:
        for scenario in rng.sample(shares, len(shares)):
            if not turns.get(scenario):
                by_step = collections.defaultdict(list)
                for job in jobs:
                    by_step[job.step].append(job)
                steps = tuple(by_step) if scenario.steps is None else scenario.steps
                turns[scenario] = [rng.choice(by_step[step]) for step in rng.sample(steps, len(steps))] or [None]
            drawn.append((scenario, turns[scenario].pop()))
    return drawn[:count]


def one(task: tuple) -> tuple[int, str, bool]:
    """One injection in a folder of its own: its number, what was done or went wrong, whether it did."""
    number, seed, folder, scenario, job, until = task
    if time.monotonic() > until:
        return number, TOO_LATE, True
    scratch = Path(tempfile.mkdtemp(prefix=f"fault-{number}-", dir=folder.parent))
    try:
        return number, scenario.inject(random.Random(f"{seed}/{number}"), job, scratch), False
    except Wrong as error:
        return number, str(error), True
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
