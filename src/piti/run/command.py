"""What every step's command line has in common: a card, named inputs, an output, one clear line for bad input."""

import argparse
import contextlib
import errno
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from piti.cards.base import digest, from_dict, to_dict
from piti.run.launch import processes_of
from piti.store.files import InputError, exclusive, file_digest, pass_failure, read_json, write_json
from piti.store.provenance import started_as

# What a disk may answer. The libraries that write for us wrap it into errors of their own, but keep its words.
DISK = [os.strerror(n) for n in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO)]


def step(
    module: str,
    doc: str,
    card_type: type,
    run: Callable,
    inputs: Sequence[str] = (),
    optional: Sequence[str] = (),
    options: dict[str, int | float] | None = None,
    siblings: Sequence[str] = (),
    hands_on_failure: bool = True,
    computes: bool = False,
) -> None:
    """Run a step from the command line: `python -m piti.steps.<name> --card … --<input> … --output …`.

    inputs, optional: names of input files; each becomes an option that takes one or more paths and reaches `run` as a
        list of Path. run(card, output, **inputs, **options) does the work and writes `output` last.
    siblings: further files that the step declares beside `output`.
    hands_on_failure: a failure record among the inputs becomes the output (piti.store.files); a table prints it.
    computes: the step computes on a GPU where there is one: it takes `--gpus`, which reaches `run` as `gpus`, and
        `piti.devices.device` says what it means.

    Beside the output, `card.json` says what was made, from what, by which code and in which environment, with the
    SHA-256 of the files; an input that has such a `card.json` beside it is compared with it first. A second copy of the
    step waits for the first. Of several processes (torchrun) the first one does all this.
    Bad input, and a disk that refuses, end with one line on stderr and exit code 2.
    """
    name = module.rsplit(".", 1)[-1]
    parser = argparse.ArgumentParser(prog=f"python -m piti.steps.{name}", description=doc)
    parser.add_argument("--card", required=True, metavar="JSON", help=f"a {card_type.__name__}: a JSON file, or JSON")
    for key in (*inputs, *optional):
        required = key in inputs
        parser.add_argument(f"--{key.replace('_', '-')}", nargs="+", type=Path, required=required, metavar="FILE")
    for key, default in (options or {}).items():
        parser.add_argument(f"--{key.replace('_', '-')}", type=type(default), default=default, metavar="N")
    if computes:
        parser.add_argument("--gpus", type=int, metavar="N", help="that this job has; 0: none; else what is there")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE")
    arguments = vars(parser.parse_args())
    text, output = arguments.pop("card"), arguments.pop("output")
    given = {key: arguments.pop(key) or [] for key in (*inputs, *optional)}
    try:
        first = processes_of(os.environ)[0] == 0
        card = _read_card(card_type, text)
        files = [path for paths in given.values() for path in paths]
        for path in files:
            _check(path, first)
        outputs = [output, *(output.with_name(s) for s in siblings)]
        with exclusive(output.parent) if first else contextlib.nullcontext():
            began, started = time.monotonic(), started_as(module) if first else {}
            handed_on = hands_on_failure and pass_failure(files, outputs)
            more = {} if handed_on else run(card, output, **given, **arguments) or {}
            if first:
                made = {
                    **started,
                    "seconds": round(time.monotonic() - began, 3),
                    "files": {path.name: file_digest(path) for path in outputs if path.is_file()},
                    **more,
                }
                sources = {key: [str(p) for p in paths] for key, paths in given.items() if paths}
                about = {"step": name, "digest": digest(card), "card": to_dict(card), "inputs": sources, "made": made}
                write_json(output.with_name("card.json"), about)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        if not any(words in str(error) for words in DISK):
            raise
        print(f"error: {output}: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


def _check(path: Path, whole: bool) -> None:
    """Refuse an input that is not there, or, where `whole`, no longer what the step that made it has recorded."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    about = path.with_name("card.json")
    if whole and path.is_file() and about.is_file():
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
