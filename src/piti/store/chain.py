"""The chain behind a number: every artefact on the way to it, read from the cards that lie beside each."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from piti.store.files import InputError, failure, read_json

# Legs (first folders below the results) of what trainings may stand behind, and what is scored: what is exported.
TRAINED = ("models", "sampled", "upsampled", "generated", "features")
KEYS = ("step", "digest", "card", "made", "inputs")  # of a card.json
BEHIND = "behind.json"  # beside what was exported: by address the cards of what it was made from and was left behind


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


def read_chain(path: str | Path, links: dict[str, Link], cards: Mapping[str, dict] = MappingProxyType({})) -> Link:
    """The artefact at `path`. It and everything that it was made from, directly or not, join `links` by path.

    cards: of what may be missing here, by address; each artefact's own BEHIND adds to them.
    """
    path = Path(path)
    if str(path) not in links:
        about, cards = path.with_name("card.json"), {**cards, **beside(path)}
        said = read_json(about, *KEYS) if about.exists() else cards.get(address(path))
        if said is None:
            links[str(path)] = Link(str(path))
        else:
            step, digest, card, made, inputs = (said[key] for key in KEYS)
            inputs = {name: [now_at(parent, path) for parent in parents] for name, parents in inputs.items()}
            failed = failure(path) or "" if path.is_file() else ""
            link = links[str(path)] = Link(str(path), step, digest, card, made, inputs, failed)
            for parent in link.parents:
                read_chain(parent, links, cards)
    return links[str(path)]


def beside(path: Path) -> dict[str, dict]:
    """The cards that an artefact brought with it, by address. Raises InputError where they are none."""
    if not (behind := path.with_name(BEHIND)).exists():
        return {}
    cards = read_json(behind)
    if not (isinstance(cards, dict) and all(isinstance(one, dict) and one.keys() >= {*KEYS} for one in cards.values())):
        raise InputError(f"{behind}: found something else, expected cards by address, each with {', '.join(KEYS)}")
    return cards


def address(path: str | Path) -> str:
    """Leg, name, digest, file: the same in every results folder."""
    return "/".join(Path(path).parts[-4:])


def left_behind(path: Path, taken: Container[str], links: dict[str, Link]) -> dict[str, dict]:
    """By address the cards of what an artefact was made from, as far as trainings may stand behind; but for `taken`."""
    behind = {address(link.path): link for link in ancestors(read_chain(path, links), links) if link.step}
    left = {where: link for where, link in behind.items() if leg(link) in TRAINED and where not in taken}
    return {where: {key: getattr(link, key) for key in KEYS} for where, link in left.items()}


def now_at(recorded: str, child: Path) -> str:
    """Where an artefact is that lay there when `child` was made from it: there still, or with it in another folder."""
    if Path(recorded).with_name("card.json").exists():
        return recorded
    moved = child.parents[3] / address(recorded)
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
    return not link.step and leg(link) in TRAINED


def leg(link: Link) -> str:
    """The first folder below the results that it lies in; of a user's own data nothing."""
    parts = Path(link.path).parts
    return parts[-4] if len(parts) > 3 else ""


def fields(card: dict, under: str = "") -> dict[str, object]:
    """A card flattened: {"training.steps": 20}."""
    flat = {}
    for key, value in card.items():
        flat |= fields(value, f"{under}{key}.") if isinstance(value, dict) else {f"{under}{key}": value}
    return flat
