"""List, and with --delete remove, the artefacts that no card of the current configuration refers to.

States of trainings belong to their models. Presets have folders of their own: name the preset with --config.
Downloads are shared by all presets and left alone, unless --downloads asks for those that no preset refers to.
"""

import re
import shutil
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from piti.cards import TrainCard
from piti.config import Config, load, read_yaml
from piti.plan import report, resolve

ADDRESS = re.compile(r"(state-)?[0-9a-f]{10}")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--delete", action="store_true", help="remove them")
    parser.add_argument("--downloads", action="store_true", help="downloads too")


def run(arguments: Namespace, config: Config) -> None:
    folders = list(unreferenced(Path(config.results), needed(config), Path(config.downloads)))
    if arguments.downloads:
        user = read_yaml(Path("config/config.yaml"))
        presets = [path.stem for path in Path("config/presets").glob("*.yaml")]
        wanted = needed(config).union(*(needed(load(user | {"preset": preset}, Path("config"))) for preset in presets))
        folders += [folder for folder in addressed(Path(config.downloads), "*/*") if folder not in wanted]
    total = 0
    for folder in folders:
        total += (size := sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))
        print(f"{size / 1e6:10.1f} MB  {folder}")
        if arguments.delete:
            shutil.rmtree(folder)
    end = ", removed" if arguments.delete else "; --delete removes them" if folders else ""
    print(f"{total / 1e6:10.1f} MB  in {len(folders)} folders{end}")


def needed(config: Config) -> set[Path]:
    """The folders of everything that a configuration's plan holds, and those of its trainings' states."""
    plan, tables, figures = resolve(config)
    report(plan, tables, figures)
    folders = set()
    for artefact in plan.artefacts.values():
        folder = Path(artefact.path).parent
        folders.add(folder)
        if isinstance(artefact.card, TrainCard):
            folders.add(folder.with_name(f"state-{artefact.card.identity}"))
    return folders


def unreferenced(results: Path, wanted: set[Path], downloads: Path) -> Iterator[Path]:
    """The folders named by a digest below a results folder (leg/name/digest) that nobody wants; never a download."""
    for folder in addressed(results, "*/*/*"):
        if folder not in wanted and downloads not in folder.parents:
            yield folder


def addressed(root: Path, pattern: str) -> list[Path]:
    """The folders that match the pattern and are named by a digest."""
    return sorted(path for path in root.glob(pattern) if path.is_dir() and ADDRESS.fullmatch(path.name))
