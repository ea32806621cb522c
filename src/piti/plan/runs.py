"""Runs: what each configuration that ran on a results folder has planned, kept in its folder `runs`.

So a job that was submitted does what was submitted, whatever becomes of the configuration meanwhile; and `piti gc`
knows what others need. An address is leg/name/digest below the results folder, name/digest below that of downloads.
"""

import gzip
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from piti import cards
from piti.card import from_dict, to_dict
from piti.cards import TrainCard
from piti.config import Config
from piti.files import InputError, atomic
from piti.plan.core import Artefact, Plan


class Remembered(NamedTuple):
    """One run, as its file tells it."""

    file: Path
    user: str
    folder: str  # where Snakemake was started
    last: float  # when it was started last, seconds since 1970
    config: Config
    artefacts: dict[str, dict]  # "step/digest" -> what `artefact` reads

    def artefact(self, step: str, digest: str) -> Artefact | None:
        """What this run has planned under a digest."""
        if (said := self.artefacts.get(f"{step}/{digest}")) is None:
            return None
        card = from_dict(getattr(cards, said["kind"]), said["card"])
        inputs = {key: tuple(paths) for key, paths in said["inputs"].items()}
        return Artefact(step, said["leg"], said["name"], card, said["path"], inputs, said["given"])

    def addresses(self) -> set[Path]:
        """Everything that this run needs or makes."""
        return {Path(address) for said in self.artefacts.values() for address in said["addresses"]}

    def __str__(self) -> str:
        day = time.strftime("%Y-%m-%d", time.localtime(self.last))
        return f"{self.config.preset} preset, {self.user}, last run {day} in {self.folder} ({self.file.name})"


def remember(plan: Plan) -> Path:
    """Write down a plan whose work begins; the same one is written once."""
    planned = {f"{step}/{digest}": _said(artefact) for (step, digest), artefact in plan.artefacts.items()}
    about = {"user": os.environ.get("USER", str(os.getuid())), "folder": os.getcwd()}
    text = json.dumps(about | {"config": to_dict(plan.config), "artefacts": planned}, separators=(",", ":")).encode()
    file = Path(plan.config.results, "runs", f"{hashlib.sha256(text).hexdigest()[:10]}.json.gz").absolute()
    if file.exists():
        os.utime(file)
    else:
        with atomic(file) as temporary:
            temporary.write_bytes(gzip.compress(text, mtime=0))
    return file


def _said(artefact: Artefact) -> dict:
    said = {key: getattr(artefact, key) for key in ("leg", "name", "path", "inputs", "given")}
    card = {"kind": type(artefact.card).__name__, "card": to_dict(artefact.card)}
    return said | card | {"addresses": [str(address) for address in addresses(artefact)]}


def recall(file: Path) -> Remembered:
    """Read a run back. Raises InputError where the file is none."""
    try:
        said = json.loads(gzip.decompress(file.read_bytes()))
        config = from_dict(Config, said["config"])
        return Remembered(file, said["user"], said["folder"], file.stat().st_mtime, config, said["artefacts"])
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: found no run of a configuration ({error!r})") from None


def recall_all(results: Path) -> Iterator[Remembered]:
    """Every run on a results folder, the latest last."""
    yield from map(recall, sorted(results.glob("runs/*.json.gz"), key=lambda file: file.stat().st_mtime))


def addresses(artefact: Artefact) -> Iterator[Path]:
    """Where an artefact lies below the results folder, or that of downloads; a training's state too."""
    folder = Path(artefact.path).parent
    parts = folder.parts[-2:] if artefact.leg == "downloads" else folder.parts[-3:]
    yield Path(*parts)
    if isinstance(artefact.card, TrainCard):
        yield Path(*parts).with_name(f"state-{artefact.card.identity}")
