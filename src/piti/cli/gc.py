"""List what no configuration refers to; with --delete, move it into a bin.

Configurations are this one, those of --also, and those of every run that is remembered here (see --forget). What is in
use or younger than --age stays. The bin is the folder `bin` of the results: move back what you want, and empty it with
--empty. The checkpoint of a finished training goes once its weights were exported (`piti export`), unless one of these
configurations has `machine.keep_checkpoints`; with --checkpoints all of them go. Downloads serve all presets and stay,
unless --downloads asks for those that nobody refers to.
"""

import contextlib
import os
import shutil
import stat
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from piti.cli.export import MARK
from piti.config import Config, load, merge, read_yaml
from piti.plan import report, resolve, runs
from piti.store.files import InputError, clock, failure
from piti.store.lease import in_use

DAY = 86400  # s
ADDRESS = "[0-9a-f]" * 10


class Found(NamedTuple):
    """A folder that may go, why, and what forbids it now."""

    root: Path  # of results, or of downloads
    address: Path  # below it
    reason: str
    obstacle: str = ""

    @property
    def folder(self) -> Path:
        return self.root / self.address

    @property
    def size(self) -> int:
        return sum(found.st_size for found in stats(self.folder) if stat.S_ISREG(found.st_mode))


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--delete", action="store_true", help="move them into the bin")
    parser.add_argument("--also", nargs="+", type=Path, default=[], metavar="FILE", help="further configurations")
    parser.add_argument("--age", type=float, default=7, metavar="DAYS", help="keep what is younger (7)")
    parser.add_argument("--checkpoints", action="store_true", help="checkpoints of all finished trainings too")
    parser.add_argument("--downloads", action="store_true", help="downloads too")
    parser.add_argument("--forget", nargs="+", default=[], metavar="RUN", help="runs that count no longer")
    parser.add_argument("--empty", action="store_true", help="remove for good what has been in the bin for --age days")


def run(arguments: Namespace, config: Config) -> None:
    if not arguments.age >= 0:  # nothing is younger than "nan"
        raise InputError(f"--age: found {arguments.age:g}, expected 0 or more days")
    results, downloads = Path(config.results), Path(config.downloads)
    for name in arguments.forget:
        forget(results, name)
    remembered = list(runs.recall_all(results))
    wanted = [one for each in (config, *map(also, arguments.also)) for one in needed(each)]
    wanted += [one for run in remembered for one in run.needed()]
    legs = {one.leg for one in wanted} - {"downloads"}
    found = [one for leg in sorted(legs) for one in unreferenced(results, f"{leg}/*/", wanted)]
    if arguments.downloads:
        user, presets = read_yaml(Path("config/config.yaml")), Path("config/presets").glob("*.yaml")
        all_presets = [load(user | {"preset": path.stem}, Path("config")) for path in presets]
        shared = [one for each in all_presets for one in needed(each)]
        elsewhere = {each.results for each in all_presets} - {config.results}
        shared += [one for each in elsewhere for run in runs.recall_all(Path(each)) for one in run.needed()]
        found += unreferenced(downloads, "*/", wanted + shared)
    found += checkpoints(results, wanted, arguments.checkpoints)
    found = [one._replace(obstacle=obstacle(one.folder, arguments.age, clock(one.root))) for one in found]
    show(found, arguments.delete)
    for other in remembered:
        print(f"kept for the {other}")
    if arguments.empty:
        empty([results, downloads], arguments.age)


def also(file: Path) -> Config:
    """The configuration with this --configfile."""
    return load(merge(read_yaml(Path("config/config.yaml")), read_yaml(file)), Path("config"))


def needed(config: Config) -> list[runs.Needed]:
    """What a configuration's plan holds."""
    plan, tables, figures = resolve(config)
    report(plan, tables, figures)
    return [runs.needed(artefact, config.machine) for artefact in plan.artefacts.values()]


def forget(results: Path, name: str) -> None:
    """No longer keep what a run refers to. Name it as it is listed."""
    file = results / "runs" / Path(name).name
    if not file.is_file():
        raise InputError(f"{file}: no such run, expected one of those that are listed")
    file.unlink()


def unreferenced(root: Path, pattern: str, wanted: Iterable[runs.Needed]) -> Iterator[Found]:
    """The folders named by a digest that nobody wants."""
    known = {address for one in wanted for address in one.addresses}
    for folder in sorted([*root.glob(pattern + ADDRESS), *root.glob(f"{pattern}checkpoint-{ADDRESS}")]):
        if folder.is_dir() and folder.relative_to(root) not in known:
            yield Found(root, folder.relative_to(root), "no configuration refers to it")


def checkpoints(results: Path, wanted: Iterable[runs.Needed], every: bool) -> Iterator[Found]:
    """The checkpoints of finished trainings: one that some longer training would go on from is not finished."""
    by_checkpoint: dict[Path, set[tuple[Path, bool]]] = {}
    for one in wanted:
        for checkpoint in one.addresses[1:]:
            by_checkpoint.setdefault(checkpoint, set()).add(
                (results / one.addresses[0] / one.file, one.keep_checkpoints)
            )
    for checkpoint, trainings in sorted(by_checkpoint.items()):
        finished = all(done(weights) for weights, _ in trainings)
        exported = all(os.path.exists(weights.with_name(MARK)) and not keep for weights, keep in trainings)
        if (results / checkpoint).is_dir() and finished and (every or exported):
            yield Found(results, checkpoint, "its training is finished" + ", its weights exported" * exported)


def done(weights: Path) -> bool:
    """Whether a training has left weights, and no record of a failure; not, where nobody here may read them."""
    try:
        return not failure(weights)
    except OSError:
        return False


def obstacle(folder: Path, age: float, now: float) -> str:
    """Why a folder has to stay for now; `now` by the clock of its file system."""
    try:
        if who := in_use(folder):
            return f"in use by {who}"
    except OSError as error:
        return f"its lease cannot be read: {error.strerror}"
    newest = max((found.st_mtime for found in stats(folder)), default=0)
    return f"younger than {age:g} days" if now - newest < age * DAY else ""


def stats(folder: Path) -> Iterator[os.stat_result]:
    """What the disk says of a folder and of all below it, but for what is removed meanwhile."""
    below = (os.path.join(at, name) for at, folders, files in os.walk(folder) for name in (*folders, *files))
    for path in chain([folder], below):
        with contextlib.suppress(OSError):
            yield os.lstat(path)


def show(found: list[Found], delete: bool) -> None:
    """A line for each, and the sum of what goes; with `delete` into the bin."""
    total = [0, 0]
    for one in found:
        size, stays = one.size, one.obstacle
        if delete and not stays:
            stays = into_bin(one)
        print(f"{size / 1e6:10.1f} MB  {one.folder}: {f'stays, {stays}' if stays else one.reason}")
        if not stays:
            total = [total[0] + size, total[1] + 1]
    end = ", now in the bin" if delete else "; --delete moves them into the bin" if total[1] else ""
    print(f"{total[0] / 1e6:10.1f} MB  in {total[1]} folders{end}")


def into_bin(one: Found) -> str:
    """Move a folder into the bin of today, beside what lies there under its name; or say why it stays."""
    target = first = one.root / "bin" / time.strftime("%Y-%m-%d") / one.address
    number = 1
    while target.exists():
        target, number = first.with_name(f"{first.name}.{number}"), number + 1
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        one.folder.rename(target)
    except OSError as error:  # somebody else's, or on another disk
        return f"cannot be moved: {error.strerror}"
    return ""


def empty(roots: Iterable[Path], age: float) -> None:
    """Remove for good what was put into a bin some days ago."""
    for folder in (folder for root in roots for folder in sorted(root.glob("bin/????-??-??"))):
        if clock(folder.parent) - folder.lstat().st_ctime >= age * DAY:
            try:
                shutil.rmtree(folder)
                print(f"removed {folder}")
            except OSError as error:
                print(f"{error.filename or folder}: stays, cannot be removed: {error.strerror}")
