"""What every step's command line has in common: a card, named inputs, an output, one clear line for bad input."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from piti.card import digest, from_dict, to_dict
from piti.files import InputError, pass_failure, read_json, write_json
from piti.provenance import code_digest, environment


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
) -> None:
    """Run a step from the command line: `python -m piti.steps.<name> --card … --<input> … --output …`.

    inputs, optional: names of input files; each becomes an option that takes one or more paths and reaches `run` as a
        list of Path. run(card, output, **inputs, **options) does the work and writes `output` last.
    siblings: further files that the step declares beside `output`.
    hands_on_failure: a failure record among the inputs becomes the output (see piti.files); a table prints it instead.

    Beside the output, `card.json` says what was made, from what, by which code and in which environment.
    Bad input ends with one line on stderr and exit code 2.
    """
    name = module.rsplit(".", 1)[-1]
    parser = argparse.ArgumentParser(prog=f"python -m piti.steps.{name}", description=doc)
    parser.add_argument("--card", required=True, metavar="JSON", help=f"a {card_type.__name__}: a JSON file, or JSON")
    for key in (*inputs, *optional):
        required = key in inputs
        parser.add_argument(f"--{key.replace('_', '-')}", nargs="+", type=Path, required=required, metavar="FILE")
    for key, default in (options or {}).items():
        parser.add_argument(f"--{key.replace('_', '-')}", type=type(default), default=default, metavar="N")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE")
    arguments = vars(parser.parse_args())
    text, output = arguments.pop("card"), arguments.pop("output")
    given = {key: arguments.pop(key) or [] for key in (*inputs, *optional)}
    try:
        card = _read_card(card_type, text)
        began = time.time()
        for files in given.values():
            for path in files:
                if not path.exists():
                    raise InputError(f"{path}: no such file or folder")
        outputs = [output, *(output.with_name(s) for s in siblings)]
        files = [path for paths in given.values() for path in paths]
        handed_on = hands_on_failure and pass_failure(files, outputs)
        more = {} if handed_on else run(card, output, **given, **arguments) or {}
        made = {
            "code": code_digest(f"piti.steps.{name}"),
            "seconds": round(time.time() - began, 3),
            **more,
            **environment(),
        }
        sources = {key: [str(p) for p in paths] for key, paths in given.items() if paths}
        about = {"step": name, "digest": digest(card), "card": to_dict(card), "inputs": sources, "made": made}
        write_json(output.with_name("card.json"), about)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _read_card(card_type: type, text: str):
    """A card from a JSON file (also one that a step wrote) or from JSON itself."""
    if text.lstrip().startswith("{"):
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"--card: not JSON ({error})") from None
    else:
        data = read_json(text)
        data = data["card"] if isinstance(data, dict) and data.keys() >= {"step", "card"} else data
    return from_dict(card_type, data)
