"""Copy models, samples and scores with their cards into a folder, for somebody else's `piti import`.

piti export /shared/piti                    all models, samples, features and scores of this configuration that exist
piti export /shared/piti --legs models      models alone

The file SHA256SUMS there names every file; `sha256sum -c` reads it too. Beside what is copied without the models behind
it, behind.json has their cards: how long they were trained, and whether they had converged.
"""

import contextlib
import shutil
from argparse import ArgumentParser, Namespace
from pathlib import Path

from piti.config import Config
from piti.plan import report, resolve, runs
from piti.store.chain import BEHIND, TRAINED, address, left_behind
from piti.store.files import InputError, atomic_folder, file_digest, write_json, write_text

LEGS = (*TRAINED, "scores", "alignment")
SUMS = "SHA256SUMS"
MARK = "exported.json"  # beside exported weights: a second copy exists


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="a new one")
    parser.add_argument("--legs", nargs="+", choices=LEGS, default=LEGS, metavar="LEG", help=", ".join(LEGS))


def run(arguments: Namespace, config: Config) -> None:
    plan, tables, figures = resolve(config)
    report(plan, tables, figures)
    wanted = [a for a in plan.artefacts.values() if a.leg in arguments.legs and Path(a.path).exists()]
    if arguments.folder.exists() or not wanted:
        found = "something there" if arguments.folder.exists() else f"none of {', '.join(arguments.legs)} made yet"
        raise InputError(f"{arguments.folder}: found {found}, expected a new folder and something to export")
    total, links, taken = 0, {}, {address(artefact.path) for artefact in wanted}
    with atomic_folder(arguments.folder) as temporary:
        sums = {}
        for artefact in wanted:
            source, (to, *_) = Path(artefact.path).parent, runs.addresses(artefact)
            if not (source / "card.json").exists():
                raise InputError(f"{source}: found no card.json, expected what its step has written")
            try:
                shutil.copytree(source, temporary / to, ignore=shutil.ignore_patterns(".*", MARK, BEHIND))
            except shutil.Error as error:  # a list, with a place and a reason for each file
                (file, _, reason), *_ = error.args[0]
                raise InputError(f"{file}: cannot be copied to {arguments.folder} ({reason})") from None
            if behind := left_behind(Path(artefact.path), taken, links):
                write_json(temporary / to / BEHIND, behind)
            for file in sorted((temporary / to).rglob("*")):
                if file.is_file():
                    sums[file.relative_to(temporary).as_posix()] = file_digest(file)
                    total += file.stat().st_size
        write_text(temporary / SUMS, "".join(f"{digest}  {name}\n" for name, digest in sums.items()))
    for artefact in wanted:
        if artefact.leg == "models":
            with contextlib.suppress(OSError):  # somebody else's, or read only: its checkpoint is not ours to remove
                write_json(Path(artefact.path).with_name(MARK), {"to": str(arguments.folder.absolute())})
    print(f"{total / 1e6:.1f} MB, {len(wanted)} artefacts in {arguments.folder}")
