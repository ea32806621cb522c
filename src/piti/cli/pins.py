"""List the files whose digest was kept at their first download, or forget one that was wrong.

  piti pins                    the files of which nobody publishes a digest, each with its first digest
  piti pins --forget NAME      forget one, and remove the file

A pin refuses every other file. Forget it when the first file was wrong, or its publisher has replaced it.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from piti.config import Config
from piti.registry import unknown_key
from piti.store.download import forget
from piti.store.files import InputError, file_digest, read_json


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--forget", metavar="NAME", help="as `piti pins` lists it")


def run(arguments: Namespace, config: Config) -> None:
    places = [Path(config.downloads, "pins.json"), Path(config.results, "weights/pins.json")]  # the latter: of a `path`
    pinned = {name: (pins, pin) for pins in places if pins.is_file() for name, pin in read_json(pins).items()}
    known = {name: pin for name, (_, pin) in pinned.items()}
    if arguments.forget is None:
        for name, pin in known.items():
            print(f"{name}  {pin['digest']}  {pin['bytes']:,} bytes, pinned on {pin['pinned']}")
        return
    if arguments.forget not in known:
        raise InputError(unknown_key(arguments.forget, known, "pins").replace("key", "name"))
    pins, pin = pinned[arguments.forget]
    digest = forget(pins, arguments.forget)
    for file in Path(config.downloads).glob("*/*/*"):
        if file.is_file() and file.stat().st_size == pin["bytes"] and f"sha256:{file_digest(file)}" == digest:
            file.unlink()
            print(f"removed {file}")
    print(f"forgot {arguments.forget}")
