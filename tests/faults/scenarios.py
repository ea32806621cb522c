"""The injections: each disturbs one job, then asks for its right result or one clear line, and nothing left over.

An injection is a function (rng, job, scratch) -> what it did, in a few words. It raises Wrong. `SCENARIOS` lists them.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from piti.store import lease
from tests.faults.damage import damage
from tests.faults.network import cut_download, damaged_wheel
from tests.faults.process import Child, Wrong, clock_jumps, killed_at
from tests.faults.workspace import Job
from tests.house import ROOT

TOLD_TO_END = (-signal.SIGKILL, -signal.SIGTERM, 75)


# -- what must be ------------------------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    """Name -> bytes of everything in an output's folder; of card.json what does not depend on the time of day."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    if "card.json" in found:
        about = json.loads(found["card.json"])
        found["card.json"] = json.dumps([about["card"], about["digest"], about["made"]["files"]]).encode()
    return found


def same(job: Job, folder: Path) -> None:
    """What lies in `folder` is just what the undisturbed job made."""
    expected, found = contents(job.output.parent), contents(folder)
    if expected.keys() != found.keys():
        raise Wrong(f"files: found {sorted(found.keys() ^ expected.keys())} too many or too few")
    if other := [name for name in expected if expected[name] != found[name]]:
        raise Wrong(f"{', '.join(other)}: other bytes than those of the undisturbed job")


def nothing_wrong(job: Job, output: Path) -> None:
    """After an end before its time, what has the output's name is whole and right, or there is none."""
    if output.is_file() and output.read_bytes() != job.output.read_bytes():
        raise Wrong(f"{output.name}: a wrong one was left")
    if output.is_dir() and contents(output) != contents(job.output):
        raise Wrong(f"{output.name}: a wrong folder was left")


def finishes(job: Job, output: Path, scratch: Path) -> None:
    """Started again, with nothing in its way, the job ends well and with the right bytes."""
    child = job.start(output, scratch / "log")
    if code := child.wait():
        raise Wrong(f"started again: exit code {code}:\n{child.said()}")
    same(job, output.parent)


def place(job: Job, scratch: Path) -> Path:
    """An output's path in the scratch folder, as deep as in the results."""
    return scratch / "out" / job.output.parent.name / job.output.name


# -- ended too early ---------------------------------------------------------------------------------------------------


def killed(by: int, rng: random.Random, job: Job, scratch: Path) -> str:
    """Killed, once or twice, at a moment or just before it changes something on the disk; then started again."""
    output, told = place(job, scratch), []
    for _ in range(rng.randint(1, 2)):
        if rng.random() < 0.5:
            number = rng.randint(1, job.changes)
            child = job.start(output, scratch / "log", killed_at(scratch / "out", number, by))
            code = child.wait()
            told.append(f"change {number} of {job.changes}")
        else:
            child, code, delay = killed_after(rng.uniform(0, job.seconds), by, job, output, scratch / "log")
            told.append(f"{delay:.2f} of {job.seconds:.2f} s")
        if code not in (0, *TOLD_TO_END):
            raise Wrong(f"{told[-1]}: exit code {code}:\n{child.said()}")
        nothing_wrong(job, output)
    finishes(job, output, scratch)
    return ", ".join(told)


def killed_after(seconds: float, by: int, job: Job, output: Path, log: Path) -> tuple[Child, int, float]:
    """The job, killed after so long, or earlier if it has ended by then; its exit code; after how long it was."""
    for delay in (seconds / 2**attempt for attempt in range(10)):
        child = job.start(output, log)
        time.sleep(delay)
        child.stop(by)
        if code := child.wait():
            break
    return child, code, delay


def killed_elsewhere(rng: random.Random, job: Job, scratch: Path) -> str:
    """Killed on one machine, started again on another, which waits until it is sure that the first has ended."""
    output, number = place(job, scratch), rng.randint(1, job.changes)

    def on(machine: str) -> None:
        lease.SPAN, lease.BEAT, lease.POLL, lease._machine = 3.0, 0.1, 0.1, lambda: machine

    def first() -> None:
        on("first")
        killed_at(scratch / "out", number, signal.SIGKILL)()

    job.start(output, scratch / "log", first).wait()
    nothing_wrong(job, output)
    child = job.start(output, scratch / "log", partial(on, "second"))
    if code := child.wait():
        raise Wrong(f"started elsewhere: exit code {code}:\n{child.said()}")
    same(job, output.parent)
    return f"change {number} of {job.changes}"


def twice_at_once(rng: random.Random, job: Job, scratch: Path) -> str:
    output, delay = place(job, scratch), rng.uniform(0, job.seconds)
    first = job.start(output, scratch / "log")
    time.sleep(delay)
    second = job.start(output, scratch / "log2")
    for child in (first, second):
        if code := child.wait():
            raise Wrong(f"exit code {code}:\n{child.said()}")
    same(job, output.parent)
    return f"the second {delay:.2f} s later"


# -- a disk that refuses -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(folder: Path, options: str) -> Iterator[None]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def can_mount(folder: Path) -> str:
    """Why no small disk can be had here, or nothing."""
    try:
        with small_disk(folder / "disk", "size=64k"):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no tmpfs can be mounted here ({error})"


def full_disk(rng: random.Random, job: Job, scratch: Path) -> str:
    """The disk is full somewhere on the way; then it is not any more."""
    output = place(job, scratch)
    needed = sum(map(len, contents(job.output.parent).values()))
    size = 4096 * rng.randint(2, max(2, needed // 4096))
    with small_disk(scratch / "out", f"size={size}"):
        refused(job, output, scratch)
        remount(scratch / "out", "size=1g")
        finishes(job, output, scratch)
    return f"{size} bytes"


def read_only(rng: random.Random, job: Job, scratch: Path) -> str:
    output = place(job, scratch)
    with small_disk(scratch / "out", "size=1g"):
        if rng.random() < 0.5:
            output.parent.mkdir()
        remount(scratch / "out", "ro")
        refused(job, output, scratch)
        remount(scratch / "out", "rw")
        finishes(job, output, scratch)
    return ""


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


def refused(job: Job, output: Path, scratch: Path) -> None:
    """It ends with one line and exit code 2, or well, where it had what it needed."""
    child = job.start(output, scratch / "log")
    code = child.wait()
    if code == 2:
        child.refused()
    elif code:
        raise Wrong(f"exit code {code}:\n{child.said()}")
    nothing_wrong(job, output)


# -- damaged files -----------------------------------------------------------------------------------------------------


def damaged_input(rng: random.Random, job: Job, scratch: Path) -> str:
    """A file that the job reads is damaged; then it is as before."""
    path = rng.choice([job.card, *(path for paths in job.inputs.values() for path in paths)])
    copy, recorded = copied(path, scratch / "in"), path == job.card or rng.random() < 0.7
    if not recorded:  # a file that somebody has copied without what lay beside it
        copy.with_name("card.json").unlink(missing_ok=True)
    told = damage(rng.choice(read_with(copy)), rng)
    output = place(job, scratch)
    child = job.start(output, scratch / "log", instead={path: copy})
    code = child.wait()
    told += "" if recorded else ", without its card.json"
    if code == 2:
        child.refused()
        if output.exists():
            raise Wrong(f"{told}: refused, and yet made")
        finishes(job, output, scratch)
    elif code:
        raise Wrong(f"{told}: exit code {code}:\n{child.said()}")
    elif recorded and copy.is_file() and copy.with_name("card.json").exists():  # else nothing can tell
        same(job, output.parent)
    return f"{path.parent.parent.name}/{told}"


def copied(path: Path, folder: Path) -> Path:
    """The input and what lies beside it, under a path of its own; hard links, because only one file will change."""
    target = folder / path.parent.name
    if (path.parent / "card.json").exists():
        shutil.copytree(path.parent, target, copy_function=os.link)
    else:
        target.mkdir(parents=True)
        shutil.copytree(path, target / path.name) if path.is_dir() else os.link(path, target / path.name)
    return target / path.name


def read_with(path: Path) -> list[Path]:
    """The files behind an input: shards behind an index, everything in a folder."""
    if path.is_dir():
        return [file for file in sorted(path.rglob("*")) if file.is_file()]
    return [path, *sorted(path.parent.glob("shard-*.h5"))] if path.name == "index.json" else [path]


def damaged_state(rng: random.Random, job: Job, scratch: Path) -> str:
    """A training is killed, and its state damaged: it is refused; removed, the training begins again."""
    output = place(job, scratch)
    while not (states := list(scratch.glob("out/checkpoint-*/checkpoint.safetensors"))):
        job.start(output, scratch / "log", killed_at(scratch, rng.randint(8, job.changes), signal.SIGKILL)).wait()
    told = damage(states[0], rng)
    child = job.start(output, scratch / "log")
    code = child.wait()
    if code == 2:
        child.refused()
        states[0].unlink()
    elif code:
        raise Wrong(f"{told}: exit code {code}:\n{child.said()}")
    finishes(job, output, scratch)
    return told


def damaged_part(rng: random.Random, job: Job, scratch: Path) -> str:
    """Of shards without an index, as a killed job leaves them, one is damaged: it is made again."""
    output = place(job, scratch)
    shutil.copytree(job.output.parent, output.parent, copy_function=os.link)
    output.unlink()
    output.with_name("card.json").unlink()
    told = damage(rng.choice(sorted(output.parent.glob("shard-*.h5"))), rng)
    finishes(job, output, scratch)
    return told


def moved_clock(rng: random.Random, job: Job, scratch: Path) -> str:
    """Files from the future or from long ago, and a clock that jumps meanwhile: no job looks at either."""
    years = rng.choice([-40, -1, 1, 10])
    for path in (path for paths in job.inputs.values() for path in paths):
        os.utime(path, (time.time() + years * 3.2e7,) * 2)
    output, jump = place(job, scratch), rng.choice([-1, 1]) * rng.uniform(60, 1e8)
    child = job.start(output, scratch / "log", clock_jumps(jump, rng.randint(0, 3)))
    if code := child.wait():
        raise Wrong(f"exit code {code}:\n{child.said()}")
    same(job, output.parent)
    return f"inputs {years} years, the clock {jump:.0f} s"


# -- the command `piti` ------------------------------------------------------------------------------------------------


def damaged_picture(rng: random.Random, job: Job, scratch: Path) -> str:
    """One of a user's own masks is damaged."""
    (scratch / "masks").mkdir()
    kind = rng.choice(["png", "jpg", "webp"])
    for number in range(2):
        Image.new("L", (64, 64), number).save(scratch / f"masks/{number}.{kind}")
    told = damage(scratch / f"masks/0.{kind}", rng)
    arguments = [
        "translate",
        "--model",
        job.inputs["model"][0],
        "--condition",
        scratch / "masks",
        "--out",
        scratch / "made",
    ]
    command(arguments, scratch, lambda: None)
    if list((scratch / "made").glob("*")) not in ([], [scratch / "made/0.png", scratch / "made/1.png"]):
        raise Wrong(f"{told}: found {os.listdir(scratch / 'made')}, expected all pictures or none")
    return told


def damaged_configuration(rng: random.Random, _, scratch: Path) -> str:
    """One file of the configuration is damaged."""
    shutil.copytree(ROOT / "config", scratch / "config")
    told = damage(rng.choice(sorted((scratch / "config").glob("*.yaml"))), rng)
    command(["explain", "table1"], scratch, lambda: os.chdir(scratch))
    return told


def command(arguments: list[object], scratch: Path, before: Callable[[], object]) -> None:
    child = Child("piti", arguments, scratch / "log", before)
    code = child.wait()
    if code == 2:
        child.refused()
    elif code:
        raise Wrong(f"exit code {code}:\n{child.said()}")


# -- which of them, to what, how often ---------------------------------------------------------------------------------


class Scenario(NamedTuple):
    """An injection, its share of all, and the steps that it is done to: all, some, or none, when it has its own."""

    name: str
    inject: Callable[[random.Random, Job | None, Path], str]
    share: int
    steps: tuple[str, ...] | None = None
    needs_disk: bool = False


SHARDS = ("pack", "draw_sketches", "sample", "upsample", "generate")
SCENARIOS = (
    Scenario("SIGKILL", partial(killed, signal.SIGKILL), 6),
    Scenario("SIGKILL in training", partial(killed, signal.SIGKILL), 3, ("train",)),
    Scenario("SIGTERM", partial(killed, signal.SIGTERM), 2),
    Scenario("SIGTERM in training", partial(killed, signal.SIGTERM), 3, ("train",)),
    Scenario("SIGKILL on another machine", killed_elsewhere, 1),
    Scenario("twice at once", twice_at_once, 3),
    Scenario("full disk", full_disk, 3, needs_disk=True),
    Scenario("read-only disk", read_only, 1, needs_disk=True),
    Scenario("damaged input", damaged_input, 10),
    Scenario("damaged state", damaged_state, 2, ("train",)),
    Scenario("damaged part", damaged_part, 2, SHARDS),
    Scenario("moved clock", moved_clock, 1),
    Scenario("damaged picture", damaged_picture, 1, ("sample",)),
    Scenario("damaged configuration", damaged_configuration, 1, ()),
    Scenario("cut download", cut_download, 2, ()),
    Scenario("damaged wheel", damaged_wheel, 1, ()),
)
