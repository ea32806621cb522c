"""The plan: every artefact that somebody has asked for, with its card, its inputs and its path.

The other files of this package have a function for each kind of artefact. Asking one adds the artefact and everything
that it is made from, once. Where something cannot be made, `Unavailable` carries the reason up to the table cell that
wanted it.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from itertools import chain
from pathlib import Path

from piti.cards import Card
from piti.cards.base import digest, dumps
from piti.config import Config
from piti.plan.steps import STEPS
from piti.store.files import InputError
from piti.store.provenance import code_digest

PLAIN = re.compile(r"[A-Za-z0-9_][\w.+%-]*", re.ASCII)  # a name as part of a path: it stays in its folder


class Unavailable(Exception):
    """An artefact that this configuration cannot make, and why: the text of its table cell."""


@dataclass(frozen=True)
class Artefact:
    """Something that a step makes: `path` is its main file (or folder), below a folder named by its card's digest."""

    step: str
    leg: str  # first folder below the results
    name: str
    card: Card
    path: str
    inputs: dict[str, tuple[str, ...]] = field(default_factory=dict)  # named files that other steps make
    given: dict[str, str] = field(default_factory=dict)  # named paths of the user's own, which no step makes

    @property
    def digest(self) -> str:
        """Of its card, as `Plan.add` has put it into the path."""
        return self.path.rsplit("/", 2)[-2]

    @property
    def whole(self) -> bool:
        """Whether all of it is there. Its card is written last."""
        beside = (Path(self.path).with_name(name.rstrip("/")) for name in (*STEPS[self.step].beside, "card.json"))
        return Path(self.path).exists() and all(path.exists() for path in beside)

    def command(self, more: Mapping[str, Sequence[object]]) -> list[str]:
        """What `python` is to do, but for the output. more: options beside the files, with their values."""
        named = self.inputs | {key: (path,) for key, path in self.given.items()} | more
        options = [(f"--{key.replace('_', '-')}", *map(str, values)) for key, values in named.items() if values]
        return ["-m", f"piti.steps.{self.step}", "--card", dumps(self.card), *chain.from_iterable(options)]


def once(make: Callable) -> Callable:
    """A function of the plan that answers the same question from memory: hundreds of cells ask for the same shards."""

    @wraps(make)
    def answer(plan: "Plan", *question, **more):
        if (key := (make.__name__, question, *more.items())) not in plan.answers:
            plan.answers[key] = make(plan, *question, **more)
        return plan.answers[key]

    return answer


class Plan:
    """The artefacts of a configuration that somebody has asked for, by (step, digest)."""

    def __init__(self, config: Config):
        self.config = config
        self.artefacts: dict[tuple[str, str], Artefact] = {}
        self.by_path: dict[str, Artefact] = {}  # the same ones
        self.answers: dict[tuple, object] = {}  # of what is asked `once`

    def add(
        self,
        step: str,
        name: str,
        card: Card,
        inputs: dict[str, Iterable[Artefact]] | None = None,
        given: dict[str, str] | None = None,
    ) -> Artefact:
        """What the step makes of this card: the one that is planned already, where there is one."""
        leg, file = STEPS[step].leg, STEPS[step].makes.rstrip("/").format_map(vars(card))
        for part in (name, file):
            if not PLAIN.fullmatch(part):
                raise InputError(f"{leg}: name: found {part!r}, expected letters, digits and any of . _ + % -")
        if self.config.code_in_card and step != "download":
            card = replace(card, code=code_digest(f"piti.steps.{step}", *self.config.plugins))
        key = (step, digest(card))
        if key not in self.artefacts:
            root = self.config.downloads if leg == "downloads" else f"{self.config.results}/{leg}"
            path = f"{root}/{name}/{key[1]}/{file}"
            files = {k: tuple(a.path for a in v) for k, v in (inputs or {}).items()}
            self.artefacts[key] = self.by_path[path] = Artefact(step, leg, name, card, path, files, given or {})
        return self.artefacts[key]

    def chain(self, paths: Iterable[str]) -> dict[str, Artefact]:
        """By path, these artefacts and everything that they are made from."""
        found, todo = {}, list(paths)
        while todo:
            if (path := todo.pop()) not in found:
                found[path] = self.by_path[path]
                todo += [below for inputs in found[path].inputs.values() for below in inputs]
        return found

    def present(self, artefact: Artefact) -> Artefact:
        """The artefact itself, to be shown. With `missing: blank`, Unavailable where nobody has made it yet."""
        if self.config.missing == "blank" and not Path(artefact.path).exists():
            raise Unavailable("missing")
        return artefact

    def refuse_left_out(self, task: str, *methods: str) -> None:
        """Unavailable unless this configuration runs one of the methods, or any at all, on the task."""
        run = self.config.only.get(task, self.config.methods)
        if not any(method in run for method in methods or run):
            raise Unavailable(self.config.left_out)
