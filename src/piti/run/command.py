"""A step: one function that makes an artefact out of its card and named files, and the command line that calls it.

    @step(leg="shards", makes="index.json")
    def run(card: PackCard, output: Path, root: Path) -> None: ...

declares all that there is to know of a step. The plan and the Snakefile read it (piti.plan.steps), and its options
follow from the parameters: `python -m piti.steps.pack --card … --root … --output …`. `Path` is one file, `Path | None =
None` one or none, `list[Path]` one or more, `list[Path] = ()` any number; others are numbers, or text, with a default.
"""

import argparse
import contextlib
import errno
import inspect
import json
import math
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from piti.cards.base import digest, from_dict, to_dict
from piti.registry import load_plugins
from piti.run.launch import AGAIN, QUEUED_AGAIN, processes_of
from piti.store.files import InputError, clock, file_digest, pass_failure, read_json, write_json
from piti.store.lease import Held, exclusive
from piti.store.provenance import started_as

BEGAN = time.monotonic()  # this process, but for Python's own start
PATIENCE = 60  # seconds that GPUs are left idle for another job. With lease.SPAN, less than torch's processes wait: 600

# What a disk may answer. The libraries that write for us wrap it into errors of their own, but keep its words.
DISK = [os.strerror(n) for n in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO)]


def patience() -> float:
    """Seconds that a step with GPUs waits for another job: not for long where its own job comes back later and
    somebody else may have them meanwhile, nor where further processes wait for this one.
    """
    return PATIENCE if QUEUED_AGAIN in os.environ or processes_of(os.environ)[1] > 1 else math.inf


@dataclass(frozen=True)
class Step:
    """What a step makes and where it runs. To call it is to do its work."""

    run: Callable  # run(card, output, …) writes `output` last; what it returns goes into card.json
    leg: str  # folder below the results
    makes: str  # its main file, below leg/name/digest. A name that ends in "/" is a folder; "{file}": the card says it
    beside: tuple[str, ...] = ()  # further files there
    local: bool = False  # quick: done where Snakemake was started, no job of a cluster
    torch: bool = False  # needs torch, though no GPU
    temporary: bool = False  # Snakemake removes what nothing needs any more
    hands_on_failure: bool = True  # a failure record among its files becomes its output; else it shows the reason

    def __call__(self, *arguments: Any, **named: Any) -> dict | None:
        return self.run(*arguments, **named)

    @property
    def module(self) -> str:
        return self.run.__globals__["__spec__"].name

    @property
    def name(self) -> str:
        return self.module.rpartition(".")[2]

    @property
    def doc(self) -> str:
        return self.run.__globals__["__doc__"].strip()

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """Its named files and numbers: every parameter but card and output."""
        parameters = inspect.signature(self.run).parameters
        return {name: parameters[name] for name in parameters if name not in ("card", "output")}

    @property
    def computes(self) -> bool:
        """Whether it computes on a GPU where there is one: `gpus` are those of its job (piti.devices.device)."""
        return "gpus" in self.options

    @property
    def environment(self) -> str:
        """The environment that has what it imports: envs/<environment>.yaml."""
        return "gpu" if self.computes or self.torch else "report"

    def main(self) -> None:
        """Run the step from the command line.

        Beside the output, `card.json` says what was made, from what, by which code and in which environment, with the
        SHA-256 of the files; an input that has such a `card.json` beside it is compared with it first. A second copy of
        the step waits for the first; with GPUs to give back it soon ends, with exit code 75, to be started again. Of
        several processes (torchrun) the first one does all this.
        Bad input, and a disk that refuses, end with one line on stderr and exit code 2.
        """
        card_type = inspect.signature(self.run).parameters["card"].annotation
        arguments = vars(self._parser(card_type).parse_args())
        text, output, plugins = (arguments.pop(key) for key in ("card", "output", "plugins"))
        inputs = {key: [value] if isinstance(value, Path) else value for key, value in arguments.items()}
        inputs = {key: paths for key, paths in inputs.items() if isinstance(paths, list)}
        try:
            load_plugins(plugins)
            rank, world = processes_of(os.environ)
            first = rank == 0
            card = _read_card(card_type, text)
            files = [path for paths in inputs.values() for path in paths]
            for path in files:
                _check(path, first)
            outputs = [output, *(output.with_name(name.rstrip("/")) for name in self.beside)]
            alone = exclusive(output.parent, patience() if self.computes else math.inf)
            about, before = output.with_name("card.json"), clock(output.parent)
            with alone if first else contextlib.nullcontext():
                if world == 1 and all(path.exists() for path in (*outputs, about)) and about.stat().st_mtime > before:
                    print(f"{output}: made by another job, for which this one has waited", file=sys.stderr)
                    return
                began, started = time.monotonic(), started_as(self.module, *plugins) if first else {}
                if first:
                    _forget_forced(output)
                handed_on = self.hands_on_failure and pass_failure(files, outputs)
                more = {} if handed_on else self.run(card, output, **arguments) or {}
                if first:
                    made = {
                        **started,
                        "seconds": round(time.monotonic() - began, 3),
                        "files": {path.name: file_digest(path) for path in outputs if path.is_file()},
                        **more,
                    }
                    said = {"step": self.name, "digest": digest(card), "card": to_dict(card)}
                    said["inputs"] = {key: [str(path) for path in paths] for key, paths in inputs.items()}
                    write_json(about, said | {"made": made})
        except Held as error:
            print(f"{error}; to be started again", file=sys.stderr)
            sys.exit(AGAIN)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        except Exception as error:
            if not any(words in str(error) for words in DISK):
                raise
            print(f"error: {output}: {' '.join(str(error).split())}", file=sys.stderr)
            sys.exit(2)

    def _parser(self, card_type: type) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(prog=f"python -m {self.module}", description=self.doc)
        parser.add_argument(
            "--card", required=True, metavar="JSON", help=f"a {card_type.__name__}: a JSON file, or JSON"
        )
        for name, parameter in self.options.items():
            kind, several = _kind(parameter.annotation)
            required = parameter.default is parameter.empty
            parser.add_argument(
                f"--{name.replace('_', '-')}",
                type=kind,
                nargs="+" if several else None,
                required=required,
                default=None if required else parameter.default,
                metavar="FILE" if kind is Path else "N",
                help="that this job has; 0: none; else what is there" if name == "gpus" else None,
            )
        parser.add_argument(
            "--plugins", nargs="+", default=[], metavar="MODULE", help="which register things of their own"
        )
        parser.add_argument("--output", required=True, type=Path, metavar="FILE")
        return parser


def step(leg: str, makes: str, **declared: Any) -> Callable[[Callable], Step]:
    """Declare a function to be a step (the fields of `Step`). Where its module is the program, run it at once: SIGTERM
    then ends it with exit code 75, for whatever is whole stays and the next goes on with it.
    """

    def declare(run: Callable) -> Step:
        made = Step(run, leg, makes, **declared)
        if run.__module__ == "__main__":
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(AGAIN))  # a training's loop saves first
            made.main()
        return made

    return declare


def _forget_forced(output: Path) -> None:
    """Keep nothing of an artefact that was whole and is to be made again (`snakemake -f`): its card is there, its main
    file is not. Whoever was killed has left shards and no card, and the next goes on with them.
    """
    if output.with_name("card.json").exists() and not output.exists():
        parts = [path for path in output.parent.iterdir() if not path.name.startswith(".")]
        for path in sorted(parts, key=lambda path: path.name == "card.json"):  # last: until then it says so again
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _kind(annotation: Any) -> tuple[type, bool]:
    """What an option's words are read as, and whether there may be several."""
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not type(None)]
    return kinds[0], get_origin(annotation) is list


def _check(path: Path, whole: bool) -> None:
    """Refuse an input that is not there, or, where `whole`, no longer what the step that made it has recorded."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if whole and path.is_file() and (about := path.with_name("card.json")).is_file():
        for name, expected in read_json(about, "made")["made"].get("files", {}).items():
            file = path.with_name(name)
            if file.is_file() and (found := file_digest(file)) != expected:
                raise InputError(f"{file}: found sha256 {found}, expected {expected}: it has changed since it was made")


def _read_card(card_type: type, text: str):
    """A card from a JSON file (also one that a step wrote) or from JSON itself."""
    if text.lstrip().startswith("{"):
        try:
            data = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise InputError(f"--card: not JSON ({error})") from None
    else:
        data = read_json(text)
        if isinstance(data, dict) and data.keys() >= {"step", "card", "digest"}:
            card = from_dict(card_type, data["card"])
            if digest(card) != data["digest"]:
                raise InputError(
                    f"{text}: digest: found {digest(card)}, expected {data['digest']}: its card has changed"
                )
            return card
    return from_dict(card_type, data)
