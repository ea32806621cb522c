"""From a data set on disk to shards: every record read once, checked, brought to its resolution."""

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from piti.cards import PackCard
from piti.conditions import stored
from piti.data import shards
from piti.data.resize import shrink
from piti.data.sources import Sources
from piti.datasets import layouts, pictures
from piti.datasets.layouts import LAYOUTS, Record
from piti.datasets.listing import some
from piti.progress import progress
from piti.store.files import InputError, refuse

T = TypeVar("T")


def pack(card: PackCard, root: Path, output: Path) -> None:
    """Write the shards of `card.kind` for one split of the data set below `root`; `output` is their index.

    What differs from the published data set, and files that libjpeg finds damaged but decodes, is said and kept in the
    index: people work with subsets.
    Raises InputError for an empty split, records without what the kind needs, and unreadable files, all at once.
    """
    found = survey(card, root)
    records, where = found.records, f"{root} ({card.split})"
    remarks = [*found.remarks, *filter(None, [layouts.check_count(len(records), card.expected, where)])]
    by_id, read = {record.id: record for record in records}, reader(card)
    if card.kind == "images":
        looked_at = progress(records, desc=f"{card.split} damage", unit="image")
        damaged = [record.image.name for record in looked_at if pictures.damage(record.image)]
        remarks += [f"{where}: damaged, as libjpeg says, and read all the same: {some(damaged)}"] if damaged else []
    if card.folders:  # the root is gone afterwards, and may have been anywhere
        remarks = [remark.replace(str(root), card.dataset) for remark in remarks]
    print(*remarks, sep="\n", file=sys.stderr)

    def make(ids: list[str]) -> np.ndarray:
        items = np.stack([read(by_id[i]) for i in ids])
        return shrink(items, card.shrunk_resolution) if card.shrunk_resolution else items

    form = stored(card.kind)
    attributes = {key: getattr(card, key) for key in form.depends} | ({"remarks": remarks} if remarks else {})
    with progress(total=len(records), desc=f"{card.split} {card.kind}", unit="image") as bar:
        try:
            shards.write(
                output.parent,
                card.kind,
                list(by_id),
                make,
                card.shard_size,
                form.resolution(card),
                attributes,
                progress=bar.update,
                sources=Sources(records, card.kind),
            )
        except InputError:
            refuse(list(faults(card, records)), where)
            raise


def survey(card: PackCard, root: str | Path) -> layouts.Found:
    """What is below the root for a card. Published data sets have splits of their own, taken whole."""
    limit = None if LAYOUTS[card.layout].own_splits else card.expected
    return layouts.survey(card.layout, root, card.split, card.exclude, limit, card.test)


def faults(card: PackCard, records: Sequence[Record]) -> Iterator[str]:
    """What is wrong with each record; instances are all in one file, and its first fault is told."""
    found = filter(None, (refusal(reader(card), record) for record in records))
    yield from itertools.islice(found, 1 if card.kind == "instances" else None)


def refusal(read: Callable[[T], np.ndarray], given: T) -> str:
    """What `read` says against a record or a file; "" where it reads it."""
    try:
        read(given)
    except InputError as error:
        return str(error)
    return ""


def reader(card: PackCard) -> Callable[[Record], np.ndarray]:
    """What turns one record into one stored item of the card's kind."""
    form = stored(card.kind)

    def read(record: Record) -> np.ndarray:
        for part in form.parts:
            if record.part(part) is None:
                raise InputError(f"{record.image}: {part}: found none, expected one for kind {card.kind!r}")
        return form.read(record, card)

    return read
