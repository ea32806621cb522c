"""Copy what somebody else has exported into this results folder; compare every file with its checksum and its card.

Only what is whole is copied, and nothing that is finished here is replaced. What has the digest that this configuration
asks for is not made again; `piti plan` shows what is still to do.
"""

import re
import shutil
from argparse import ArgumentParser, Namespace
from pathlib import Path

from piti.cli.export import LEGS, SUMS
from piti.config import Config
from piti.store.files import InputError, atomic_folder, file_digest, read_json
from piti.store.lease import in_use

NAMED = re.compile(rf"((?:{'|'.join(LEGS)})/\w[\w.+%-]*/([0-9a-f]{{10}}))/([\w+%-][\w.+%-]*)", re.ASCII)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="made by `piti export`, or a copy of it")


def run(arguments: Namespace, config: Config) -> None:
    artefacts = listed(arguments.folder)
    for address, files in artefacts.items():
        checked(arguments.folder / address, files)
    new = [address for address in artefacts if not Path(config.results, address, "card.json").exists()]
    for address in new:
        if who := in_use(Path(config.results, address)):
            raise InputError(f"{Path(config.results, address)}: found it in use by {who}, expected nobody there now")
        with atomic_folder(Path(config.results, address)) as temporary:
            for name, digest in artefacts[address].items():
                shutil.copyfile(arguments.folder / address / name, temporary / name)
                if file_digest(temporary / name) != digest:
                    raise InputError(f"{temporary / name}: found other bytes than were just copied, expected {digest}")
    print(f"{len(new)} artefacts now in {config.results}, {len(artefacts) - len(new)} were there")


def listed(folder: Path) -> dict[str, dict[str, str]]:
    """Address -> name -> SHA-256 of every file that an export lists."""
    found: dict[str, dict[str, str]] = {}
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{folder / SUMS}: not readable ({error}), expected what `piti export` writes") from None
    for number, line in enumerate(lines, 1):
        digest, _, name = line.partition("  ")
        if not (parts := NAMED.fullmatch(name)):
            raise InputError(f"{folder / SUMS}: line {number}: found {name!r}, expected leg/name/digest/file")
        found.setdefault(parts[1], {})[parts[3]] = digest
    return found


def checked(folder: Path, files: dict[str, str]) -> None:
    """Refuse an artefact whose files are not those that were exported, or not those that its step has written."""
    for name, expected in files.items():
        if not (folder / name).is_file() or (folder / name).is_symlink():
            raise InputError(f"{folder / name}: no such file")
        if (found := file_digest(folder / name)) != expected:
            raise InputError(f"{folder / name}: found sha256 {found}, expected {expected}")
    if "card.json" not in files:
        raise InputError(f"{folder}: found no card.json, expected what its step has written")
    about = read_json(folder / "card.json", "digest", "made")
    if about["digest"] != folder.name:
        raise InputError(f"{folder}/card.json: digest: found {about['digest']}, expected {folder.name}")
    for name, expected in about["made"].get("files", {}).items():
        if files.get(name) != expected:
            raise InputError(f"{folder / name}: found sha256 {files.get(name)}, expected {expected} by its card")
