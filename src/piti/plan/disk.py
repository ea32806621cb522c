"""What a plan takes on disk, in bytes and in files: estimates from the cards, and what is there.

By folder (`folders`) and by file system (`file_systems`), where also the highest moment counts: extracted archives go
when all is packed, but Snakemake may start every extraction at once; and a checkpoint is written beside the last one.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from piti.cards import (
    DownloadCard,
    FeaturesCard,
    GatherCard,
    GenerateCard,
    PackCard,
    SampleCard,
    ScenesCard,
    SketchCard,
    TrainCard,
)
from piti.conditions import stored
from piti.evaluate.extractors import EXTRACTORS
from piti.plan.core import Artefact
from piti.plan.cost import Costs
from piti.plan.steps import STEPS

BESIDE = 3  # files of every artefact beside what its step makes: card, log, benchmark
OF_SCENE = 4  # at most: picture, depth, mask, normals
ENDLESS = 1 << 62  # files, where a file system does not count them


class Folder(NamedTuple):
    """One leg's folder below the results."""

    expected: int  # bytes, of what can be said beforehand
    there: int  # bytes
    unknown: int  # artefacts whose size nobody knows beforehand, and which are not there yet


def folders(costs: Costs, artefacts: Iterable[Artefact]) -> dict[str, Folder]:
    """The space of these artefacts and of their trainings' checkpoints, when all is made."""
    sums = defaultdict(lambda: Folder(0, 0, 0))
    for artefact in artefacts:
        if STEPS[artefact.step].temporary:
            continue
        there, guess = on_disk(artefact), expected(costs, artefact)
        before = sums[artefact.leg]
        sums[artefact.leg] = Folder(
            before.expected + (there if guess is None else guess),
            before.there + there,
            before.unknown + (guess is None and not there),
        )
    return dict(sums)


@dataclass(frozen=True)
class Room:
    """Room on a disk."""

    bytes: int = 0
    files: int = 0

    def __add__(self, other: "Room") -> "Room":
        return Room(self.bytes + other.bytes, self.files + other.files)

    def within(self, free: "Room") -> bool:
        return self.bytes <= free.bytes and self.files <= free.files


@dataclass(frozen=True)
class FileSystem:
    """What work takes of one file system."""

    folders: tuple[str, ...]  # of the configuration, that lie there
    end: Room  # when everything is made
    highest: Room  # at the most, on the way there
    to_come: Room  # of that, what is not there yet
    free: Room  # to this user, quotas not counted

    @property
    def short(self) -> str:
        """A line where it will not fit; else nothing."""
        if self.to_come.within(self.free):
            return ""
        found, wanted = (f"{room.bytes / 1e9:,.1f} GB and {room.files:,} files" for room in (self.free, self.to_come))
        return f"{', '.join(self.folders)}: found {found} free, expected {wanted} at the highest moment"


def file_systems(costs: Costs, wanted: Iterable[Artefact], todo: Iterable[Artefact]) -> Iterator[FileSystem]:
    """Of every file system, what all that is wanted takes, and what is to be made of it yet."""
    places = defaultdict(list)
    for folder in dict.fromkeys((costs.config.results, costs.config.downloads)):
        places[existing(folder).stat().st_dev].append(folder)
    for within in places.values():
        whole, rest = ([a for a in some if place_of(costs, a) in within] for some in (wanted, todo))
        end, highest = room(costs, whole)
        _, to_come = room(costs, rest, without=True)
        yield FileSystem(tuple(within), end, highest, to_come, free(existing(within[0])))


def place_of(costs: Costs, artefact: Artefact) -> str:
    """The folder of the configuration that an artefact lies in."""
    return costs.config.downloads if artefact.leg == "downloads" else costs.config.results


def existing(folder: str) -> Path:
    """The folder itself, or the one above it that is there already."""
    path = Path(folder).absolute()
    return next(place for place in (path, *path.parents) if place.exists())


def free(folder: Path) -> Room:
    """What its file system has left. Some count no files: then there is no end of them."""
    found = os.statvfs(folder)
    return Room(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else ENDLESS)


def room(costs: Costs, artefacts: Iterable[Artefact], without: bool = False) -> tuple[Room, Room]:
    """At the end, and at the most on the way. without: what is there already."""
    end, passing, largest = Room(), Room(), 0
    for artefact in artefacts:
        there = on_disk(artefact) if without else 0
        own = Room(max(0, (expected(costs, artefact) or 0) - there), files(costs, artefact))
        if STEPS[artefact.step].temporary:
            passing += own
        else:
            end += own
        if isinstance(artefact.card, TrainCard):
            largest = max(largest, checkpoint(costs, artefact.card))
    return end, end + passing + Room(largest, 0)


def expected(costs: Costs, artefact: Artefact) -> int | None:
    """Bytes that an artefact takes, None where that is not known beforehand; metadata and pages count as nothing."""
    card = artefact.card
    if isinstance(card, DownloadCard):
        return card.bytes or int(1e9 * card.gb) or None
    if artefact.step == "extract":
        return extracted(costs, artefact).bytes
    if artefact.step == "convert_weights":
        return _source(costs, artefact)
    if isinstance(card, TrainCard):
        count = costs.count(card)
        kept = costs.machine.keep_every and card.training.steps // costs.machine.keep_every
        return 4 * (count["weights"] + kept * count["ema"]) + checkpoint(costs, card) if count else None
    if isinstance(card, ScenesCard):
        return None
    if isinstance(card, PackCard):
        form = stored(card.kind)
        return form.bytes(form.resolution(card)) * costs.items(artefact)
    if isinstance(card, SketchCard):
        return stored(card.kind).bytes(card.resolution) * costs.items(artefact)
    if isinstance(card, SampleCard | GenerateCard | GatherCard):
        return stored("images").bytes(card.resolution) * costs.items(artefact)
    if isinstance(card, FeaturesCard):
        return 4 * EXTRACTORS[card.extractor].width * costs.items(artefact)
    return 0


def checkpoint(costs: Costs, card: TrainCard) -> int:
    """Bytes of a training's checkpoint: what is optimized, with its two moments, and the EMA."""
    count = costs.count(card)
    return 4 * (3 * count["optimized"] + (count["ema"] if card.training.ema_rate else 0)) if count else 0


def _source(costs: Costs, artefact: Artefact) -> int | None:
    """Converted weights are as large as published ones."""
    if artefact.inputs:
        return expected(costs, costs.by_path[artefact.inputs["source"][0]])
    source = artefact.given["source"]
    return os.path.getsize(source) if os.path.isfile(source) else None


def extracted(costs: Costs, artefact: Artefact) -> Room:
    """What the archives that an artefact is made from hold."""
    archives = [costs.by_path[path] for path in artefact.inputs.get("archives", ())]
    sizes = [int(1e9 * archive.card.extracted_gb) or expected(costs, archive) or 0 for archive in archives]
    return Room(sum(sizes), sum(archive.card.files for archive in archives))


def files(costs: Costs, artefact: Artefact) -> int:
    """About how many files an artefact is."""
    card = artefact.card
    if artefact.step == "extract":
        return extracted(costs, artefact).files
    if isinstance(card, ScenesCard):
        return OF_SCENE * (card.train + card.test)
    shards = -(-costs.items(artefact) // card.shard_size) if hasattr(card, "shard_size") else 0
    each = 2 if isinstance(card, PackCard) else 1  # a shard, and what it was packed from
    return 1 + len(STEPS[artefact.step].beside) + BESIDE + each * shards


def on_disk(artefact: Artefact) -> int:
    """Bytes that an artefact takes now, a training's checkpoint with it; of what goes meanwhile, none."""
    places = [Path(artefact.path).parent]
    if isinstance(artefact.card, TrainCard):
        places.append(artefact.card.checkpoint(Path(artefact.path)))
    found = (os.path.join(at, name) for place in places for at, _, names in os.walk(place) for name in names)
    return sum(map(size, found))


def size(file: str) -> int:
    """Bytes of a file; 0 where it has gone."""
    try:
        return os.stat(file).st_size
    except OSError:
        return 0
