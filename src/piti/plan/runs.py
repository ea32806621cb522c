"""Runs: what each configuration that ran on a results folder has planned, kept in its folder `runs`.

So a job that was submitted does what was submitted, whatever becomes of the configuration meanwhile; and `piti gc`
knows what others need. An address is leg/name/digest below the results folder, name/digest below that of downloads.
"""

import dataclasses
import gzip
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from piti import cards
from piti.cards import TrainCard, base
from piti.cards.base import from_dict, to_dict
from piti.config import Config, Machine
from piti.plan.core import Artefact, Plan
from piti.registry import load_plugins
from piti.store.files import InputError, atomic

JOBS = ("preset", "plugins", "results", "downloads", "machine", "jobs")  # keys that a job reads itself
BACK = "expected what this checkout knows: go back to the commit that it was submitted from"


class Needed(NamedTuple):
    """Where an artefact lies that somebody needs."""

    leg: str
    file: str
    addresses: tuple[Path, ...]  # the artefact's own; a training's checkpoint after it
    keep_checkpoints: bool


class Remembered(NamedTuple):
    """One run, as its file tells it. What it holds is read when it is asked for: it may be of another version."""

    file: Path
    user: str
    folder: str  # where Snakemake was started
    last: float  # when it was started last, seconds since 1970
    said: dict  # of the configuration, JOBS
    artefacts: dict[str, dict]  # "step/digest" -> what `artefact` reads

    @property
    def config(self) -> Config:
        """The configuration as far as jobs need it, its plug-ins loaded. Raises InputError where this version has other
        keys."""
        try:
            config = from_dict(Config, {key: self.said[key] for key in JOBS if key in self.said})
            load_plugins(config.plugins)
            return config
        except InputError as error:
            raise InputError(f"{self.file}: {error}; {BACK}") from None

    def artefact(self, step: str, digest: str) -> Artefact | None:
        """What this run has planned under a digest. Raises InputError where this version reads something else."""
        if (said := self.artefacts.get(f"{step}/{digest}")) is None:
            return None
        try:
            card = from_dict(getattr(cards, said["kind"]), said["card"])
        except (InputError, AttributeError) as error:
            raise InputError(f"{self.file}: {step}/{digest}: {error}; {BACK}") from None
        inputs = {key: tuple(paths) for key, paths in said["inputs"].items()}
        found = Artefact(step, said["leg"], said["name"], card, said["path"], inputs, said["given"])
        if (now := base.digest(card)) != digest:
            raise InputError(f"{self.file}: {step}/{digest}: found a card of digest {now}; {BACK}")
        return found

    def needed(self) -> Iterator[Needed]:
        """Everything that this run needs or makes."""
        machine = self.said.get("machine", {})
        for said in self.artefacts.values():
            addresses = tuple(map(Path, said["addresses"]))
            yield Needed(said["leg"], Path(said["path"]).name, addresses, machine.get("keep_checkpoints", False))

    def __str__(self) -> str:
        day = time.strftime("%Y-%m-%d", time.localtime(self.last))
        preset = self.said.get("preset", Config.preset)
        return f"{preset} preset, {self.user}, last run {day} in {self.folder} ({self.file.name})"


def remember(plan: Plan) -> Path:
    """Write down a plan whose work begins; the same one is written once. Every value, so that no default matters."""
    planned = {f"{step}/{digest}": _said(artefact) for (step, digest), artefact in plan.artefacts.items()}
    about = {"user": os.environ.get("USER", str(os.getuid())), "folder": os.getcwd()}
    config = {key: getattr(plan.config, key) for key in JOBS}
    config |= {key: dataclasses.asdict(config[key]) for key in ("machine", "jobs")}
    text = json.dumps(about | {"config": config, "artefacts": planned}, separators=(",", ":")).encode()
    file = Path(plan.config.results, "runs", f"{hashlib.sha256(text).hexdigest()[:10]}.json.gz").absolute()
    if file.exists():
        os.utime(file)
    else:
        with atomic(file) as temporary:
            temporary.write_bytes(gzip.compress(text, mtime=0))
    return file


def _said(artefact: Artefact) -> dict:
    said = {key: getattr(artefact, key) for key in ("leg", "name", "path", "inputs", "given")}
    card = {"kind": type(artefact.card).__name__, "card": to_dict(artefact.card, defaults=True)}
    return said | card | {"addresses": [str(address) for address in addresses(artefact)]}


def recall(file: Path) -> Remembered:
    """Read a remembered run. Raises InputError where the file is none."""
    try:
        said = json.loads(gzip.decompress(file.read_bytes()))
        return Remembered(
            file, said["user"], said["folder"], file.stat().st_mtime, dict(said["config"]), dict(said["artefacts"])
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: found no run of a configuration ({error!r})") from None


def recall_all(results: Path) -> Iterator[Remembered]:
    """Every run on a results folder, the latest last."""
    yield from map(recall, sorted(results.glob("runs/*.json.gz"), key=lambda file: file.stat().st_mtime))


def addresses(artefact: Artefact) -> Iterator[Path]:
    """Where an artefact lies below the results folder, or that of downloads; a training's checkpoint too."""
    folder = Path(artefact.path).parent
    parts = folder.parts[-2:] if artefact.leg == "downloads" else folder.parts[-3:]
    yield Path(*parts)
    if isinstance(artefact.card, TrainCard):
        yield artefact.card.checkpoint(Path(*parts, "weights"))


def needed(artefact: Artefact, machine: Machine) -> Needed:
    """What a plan needs, as a run that is remembered says it."""
    return Needed(artefact.leg, Path(artefact.path).name, tuple(addresses(artefact)), machine.keep_checkpoints)
