"""Drift: the user's own files that are no longer what was packed, or converted, from them.

It is said before work begins and by `piti status`. Nothing is made again for it, and no work goes on in spite of it.
"""

import shlex
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from piti.cards import PackCard, TrainCard
from piti.cli import own
from piti.data.sources import Sources, beside, same, size_and_time
from piti.datasets import listing
from piti.plan import Artefact, Plan
from piti.store.files import InputError, read_json


class Drift(NamedTuple):
    """What no longer fits, in a line. `fatal`: what was made from it must not be used unasked."""

    text: str
    fatal: bool


def drifts(plan: Plan) -> Iterator[Drift]:
    """A line for each data set, and for each file of weights, that is no longer what it was."""
    packs = defaultdict(list)
    for artefact in plan.artefacts.values():
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
    """Weights from a file of the user's own."""
    about, source = Path(artefact.path).with_name("card.json"), Path(artefact.given["source"])
    then = read_json(about, "made")["made"].get("source") if about.exists() else None
    try:
        fits = not then or same(then, source, size_and_time(source))
    except FileNotFoundError:
        return  # gone, and no longer needed
    except OSError as error:
        yield Drift(f"weights.{artefact.name}: {source}: cannot be read ({error.strerror}); it is not needed", False)
        return
    if not fits:
        yield Drift(
            f"weights.{artefact.name}: {source} is not what {artefact.path} was made from; if it is another on "
            "purpose, give it another `version`; else put the old one back, or remove that to convert it again",
            True,
        )
