"""Drift: the user's own files that are no longer what was packed, or converted, from them.

It is said before work begins, by `piti status`, and by each command that uses what was made from them. Nothing is made
again for it, and no work goes on in spite of it.
"""

import contextlib
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from piti.cards import PackCard, TrainCard
from piti.cli import own
from piti.data.sources import Sources, beside, head_digest, size_and_time
from piti.datasets import listing
from piti.plan import Artefact, Plan
from piti.store.files import InputError, file_digest, read_json, write_json


class Drifted(InputError):
    """What was made from the user's own files must not be used: they are others now."""


class Drift(NamedTuple):
    """What no longer fits, in a line. `fatal`: what was made from it must not be used unasked."""

    text: str
    fatal: bool


def refuse_drifted(plan: Plan, wanted: Artefact) -> None:
    """Raise Drifted where an artefact is made from files that are no longer what they were.

    What a model was trained on does not count: it stays as it was trained.
    """
    found, todo = {}, [wanted.path]
    while todo:
        if (path := todo.pop()) not in found:
            found[path] = artefact = plan.by_path[path]
            if not isinstance(artefact.card, TrainCard):
                todo += [below for inputs in artefact.inputs.values() for below in inputs]
    for drift in drifts(plan, found.values()):
        if drift.fatal:
            raise Drifted(drift.text)


def drifts(plan: Plan, among: Iterable[Artefact] | None = None) -> Iterator[Drift]:
    """A line for each data set, and for each file of weights, that is no longer what it was: of these, or of all."""
    packs = defaultdict(list)
    for artefact in plan.artefacts.values() if among is None else among:
        if Path(artefact.path).exists():
            if isinstance(artefact.card, PackCard):
                packs[artefact.card.dataset].append(artefact)
            elif artefact.step == "convert_weights" and artefact.given:
                yield from converted(artefact)
    for name, artefacts in packs.items():
        yield from archived(name, artefacts)
        yield from packed(name, artefacts, plan)


def packed(name: str, artefacts: list[Artefact], plan: Plan) -> Iterator[Drift]:
    """A data set on the user's own disk: which files are others than were packed."""
    found, changed, gone, root, stats, seen = {}, [], set(), "", {}, {}
    for artefact in (artefact for artefact in artefacts if artefact.given):
        root, folder = artefact.given["root"], Path(artefact.path).parent
        shards = [shard for shard in sorted(folder.glob("shard-*.h5")) if beside(shard).exists()]
        if not shards:
            continue  # packed by an earlier version, or kept on purpose
        try:
            card = artefact.card
            if card.split not in seen:
                seen[card.split] = own.survey(plan, card, root).records
            sources, differ = Sources(seen[card.split], card.kind, stats), {}
            for shard in shards:
                differ |= sources.changed(shard)
        except listing.Nothing as error:
            gone.add(f"datasets.{name}: {error}: it is gone; what was packed from it is used")
            continue
        except (InputError, OSError) as error:
            yield Drift(
                f"datasets.{name}: cannot be compared with what was packed: {error}; put that right, or remove "
                f"*.sources.json in {folder} to keep what was packed",
                True,
            )
            return
        known = {i for shard in shards for i in read_json(beside(shard))}
        differ |= dict.fromkeys(sources.paths.keys() - known, "new")
        if differ:
            found |= differ
            changed.append(artefact)
    yield from (Drift(text, False) for text in sorted(gone))
    if found:
        some = ", ".join(f"{i} {how}" for i, how in sorted(found.items())[:3])
        folders, trained = made_from(changed, plan)
        shards = sorted({str(Path(artefact.path).parent) for artefact in changed})
        yield Drift(
            f"datasets.{name}: {len(found):,} photographs below {root} are not what was packed ({some}); if they are "
            f"others on purpose, give it another `version`; else put the old ones back, or remove only *.sources.json "
            f"in {' '.join(shards)} to keep what was packed, or make all again that was made from them, but for "
            f"{trained} models that stay as they were trained: rm -r {' '.join(map(shlex.quote, folders))}",
            True,
        )


def made_from(changed: list[Artefact], plan: Plan) -> tuple[list[str], int]:
    """The folders of shards and of all that was made from them, and how many models were, where it ends."""
    paths, folders, trained = {artefact.path for artefact in changed}, [], 0
    for artefact in plan.artefacts.values():  # what something is made from stands before it
        below = any(path in paths for given in artefact.inputs.values() for path in given)
        if below and isinstance(artefact.card, TrainCard):
            trained += Path(artefact.path).exists()
        elif below or artefact.path in paths:
            paths.add(artefact.path)
            folders += [str(Path(artefact.path).parent)] * Path(artefact.path).exists()
    return folders, trained


def archived(name: str, artefacts: list[Artefact]) -> Iterator[Drift]:
    """A downloaded data set: whether the configuration now states other checksums than those of what was packed."""
    for artefact in (artefact for artefact in artefacts if artefact.inputs):
        about = Path(artefact.path).with_name("card.json")
        then = read_json(about, "card")["card"].get("archives", ()) if about.exists() else ()
        now = dict(line.rsplit(" ", 1) for line in artefact.card.archives)
        others = [file for file, digest in (line.rsplit(" ", 1) for line in then) if now.get(file, digest) != digest]
        if others:
            yield Drift(
                f"datasets.{name}: {len(others)} archives ({', '.join(others[:3])}) have other digests than those that "
                f"{Path(artefact.path).parent} was packed from; if the data are others, give it another `version`",
                True,
            )
            return


def converted(artefact: Artefact) -> Iterator[Drift]:
    """Weights from a file of the user's own.

    At the same place with the same size and time: the same file. Otherwise the digest of all its bytes decides, for
    weights that were tuned further may begin alike; place and time are then remembered, so that nothing is read twice.
    """
    about, source = Path(artefact.path).with_name("card.json"), Path(artefact.given["source"])
    said = read_json(about, "made") if about.exists() else {"made": {}}
    then, inputs = said["made"].get("source"), said.get("inputs", {})
    if not then:
        return
    moved = inputs.get("source", [str(source)]) != [str(source)]
    where = f"weights.{artefact.name}: {source}"
    try:
        now = size_and_time(source)
        if list(now) == then[:2] and not moved:
            return
        fits = now[0] == then[0] and _same_bytes(said["made"], source, now)
    except OSError as error:
        if moved:
            yield Drift(f"{where}: {error.strerror}; expected what {artefact.path} was made from", True)
        elif not isinstance(error, FileNotFoundError):  # gone: no longer needed
            yield Drift(f"{where}: cannot be read ({error.strerror}); it is not needed", False)
        return
    if fits:
        said["made"]["source"], said["inputs"] = [*now, then[2]], inputs | {"source": [str(source)]}
        with contextlib.suppress(OSError):  # somebody else's, or a disk that is full or read only
            write_json(about, said)
        return
    again, card = f"rm -r {shlex.quote(str(about.parent))}", artefact.card
    if not card.digest:
        again += f"; piti pins --forget {shlex.quote(f'{card.name} {card.version}'.strip())}"
    yield Drift(
        f"{where} is not what {artefact.path} was made from; if it is another on purpose, give it another `version`; "
        f"else put the old one back, or, if that was wrong, have it converted again: {again}",
        True,
    )


def _same_bytes(made: dict, source: Path, now: tuple[int, int]) -> bool:
    """Whether a file has the digest that was read, or begins alike where an earlier version has not noted it."""
    algorithm, _, digest = made.get("digest", "").partition(":")
    if not digest:
        return made["source"][2] == head_digest(str(source), *now)
    return file_digest(source, algorithm) == digest
