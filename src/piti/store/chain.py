"""The chain behind a number: every artefact on the way to it, read from the cards that lie beside each."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from piti.store.files import failure, read_json

# Legs (first folders below the results) of what trainings may stand behind, and what is scored: what is exported.
TRAINED = ("models", "sampled", "upsampled", "generated", "features")
KEYS = ("step", "digest", "card", "made", "inputs")  # of a card.json


@dataclass(frozen=True)
class Link:
    """One artefact: what its card.json says. A user's own data have no step, nor has what was left elsewhere."""

    path: str  # its main file or folder
    step: str = ""
    digest: str = ""
    card: dict = field(default_factory=dict)
    made: dict = field(default_factory=dict)
    inputs: dict[str, list[str]] = field(default_factory=dict)
    failed: str = ""  # why there is only a failure record

    @property
    def name(self) -> str:
        """As people call it: "two_stage-ade20k_mask"."""
        return Path(self.path).parts[-3] if self.step else self.path

    @property
    def parents(self) -> list[str]:
        return [path for paths in self.inputs.values() for path in paths]


def read_chain(path: str | Path, links: dict[str, Link]) -> Link:
    """The artefact at `path`. It and everything that it was made from, directly or not, join `links` by path."""
    path = Path(path)
    if str(path) not in links:
        about = path.with_name("card.json")
        if not about.exists():
            links[str(path)] = Link(str(path))
        else:
            said = read_json(about, *KEYS)
            step, digest, card, made, inputs = (said[key] for key in KEYS)
            inputs = {name: [now_at(parent, path) for parent in parents] for name, parents in inputs.items()}
            failed = failure(path) or "" if path.is_file() else ""
            link = links[str(path)] = Link(str(path), step, digest, card, made, inputs, failed)
            for parent in link.parents:
                read_chain(parent, links)
    return links[str(path)]


def now_at(recorded: str, child: Path) -> str:
    """Where an artefact is that lay there when `child` was made from it: there still, or with it in another folder."""
    if Path(recorded).with_name("card.json").exists():
        return recorded
    moved = child.parents[3].joinpath(*Path(recorded).parts[-4:])  # leg, name, digest, file
    return str(moved) if moved.with_name("card.json").exists() else recorded


def ancestors(link: Link, links: dict[str, Link]) -> list[Link]:
    """A link and all it was made from, each once, what was made last first."""
    found, todo = {}, [link]
    while todo:
        link = todo.pop(0)
        if link.path not in found:
            found[link.path] = link
            todo += [links[parent] for parent in link.parents]
    return list(found.values())


def not_converged(files: Iterable[Path], by_rule: bool) -> dict[str, Link]:
    """Trainings behind these, by path, meant to end when they had converged, that still improved at their last step.

    by_rule: there are trainings behind these that are meant to. Then what they may stand behind, but has no card here,
    is among them.
    """
    links = {}
    behind = {link.path: link for file in files for link in ancestors(read_chain(file, links), links)}
    return {p: link for p, link in behind.items() if link.made.get("converged") is False or (by_rule and gone(link))}


def gone(link: Link) -> bool:
    """Whether it was left elsewhere, and with it what it was made from."""
    parts = Path(link.path).parts
    return not link.step and len(parts) > 3 and parts[-4] in TRAINED


def fields(card: dict, under: str = "") -> dict[str, object]:
    """A card flattened: {"training.steps": 20}."""
    flat = {}
    for key, value in card.items():
        flat |= fields(value, f"{under}{key}.") if isinstance(value, dict) else {f"{under}{key}": value}
    return flat
