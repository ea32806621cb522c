"""From a data set on disk to shards: every record read once, checked, brought to its resolution."""

import contextlib
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context, parent_process
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


def pack(card: PackCard, root: Path, output: Path, threads: int = 1) -> None:
    """Write the shards of `card.kind` for one split of the data set below `root`; `output` is their index.

    Files are read by so many processes; annotations that are one file for all, gigabytes in memory, by this one alone.
    What differs from the published data set, and files that libjpeg finds damaged but decodes, is said and kept in the
    index: people work with subsets.
    Raises InputError for an empty split, records without what the kind needs, and unreadable files, all at once.
    """
    found = survey(card, root)
    records, where = found.records, f"{root} ({card.split})"
    remarks = [*found.remarks, *filter(None, [layouts.check_count(len(records), card.expected, where)])]
    by_id, form = {record.id: record for record in records}, stored(card.kind)
    with processes(1 if card.kind == "instances" else threads) as mapped:
        if card.kind == "images":
            remarks += damaged([record.image for record in records], where, mapped)
        if card.folders:  # the root is gone afterwards, and may have been anywhere
            remarks = [remark.replace(str(root), card.dataset) for remark in remarks]
        print(*remarks, sep="\n", file=sys.stderr)

        def make(ids: list[str]) -> np.ndarray:
            return np.stack(list(mapped(partial(read, card), [by_id[i] for i in ids])))

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
                    check=partial(refuse_changed, card, root, records),
                )
            except InputError:
                refuse(list(faults(card, records)), where)
                raise


def refuse_changed(card: PackCard, root: Path, records: Sequence[Record]) -> None:
    """Raise InputError where the folder holds other records by now. If somebody was replacing it, those that were found
    at first may be some of them only."""
    if (now := survey(card, root).records) != records:
        found = f"{len(now)} records, or others, at the end"
        raise InputError(f"{root} ({card.split}): found {found}, expected the {len(records)} of the beginning")


def damaged(images: Sequence[Path], where: str, mapped: Callable = map) -> list[str]:
    """A remark on the pictures that libjpeg finds damaged, if there are any."""
    said = progress(mapped(pictures.damage, images), "damage", len(images), unit="image")
    names = [image.name for image, harm in zip(images, said, strict=True) if harm]
    return [f"{where}: damaged, as libjpeg says, and read all the same: {some(names)}"] if names else []


@contextlib.contextmanager
def processes(count: int) -> Iterator[Callable]:
    """`map` by so many processes. Raises InputError where one of them is killed."""
    if count == 1:
        yield map
        return
    fork = get_context("fork")  # what plug-ins have registered here is there too
    with ProcessPoolExecutor(count, fork, _end_with_parent) as pool:
        pool.submit(int)  # they are forked now, before there are open files and other threads
        try:
            yield partial(pool.map, chunksize=4)
        except BrokenProcessPool:
            raise InputError(f"threads: found one of {count} processes killed, expected memory for all") from None


def _end_with_parent() -> None:
    """In a process of the pool: once its parent has been killed, it would wait for work for ever."""
    threading.Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()


def survey(card: PackCard, root: str | Path) -> layouts.Found:
    """What is below the root for a card. Published data sets have splits of their own, taken whole."""
    limit = None if LAYOUTS[card.layout].own_splits else card.expected
    return layouts.survey(card.layout, root, card.split, card.exclude, limit, card.test)


def faults(card: PackCard, records: Sequence[Record]) -> Iterator[str]:
    """What is wrong with each record, or with all; instances are all in one file, and its first fault is told."""
    for part in stored(card.kind).parts:
        if not any(record.part(part) for record in records):
            where = f"{card.dataset} ({card.split}): {part}"
            yield f"{where}: found none, expected one for each photograph; to leave out a task: `only: {{TASK: []}}`"
            return
    found = filter(None, (refusal(partial(read, card), record) for record in records))
    yield from itertools.islice(found, 1 if card.kind == "instances" else None)


def refusal(read: Callable[[T], np.ndarray], given: T) -> str:
    """What `read` says against a record or a file; "" where it reads it."""
    try:
        read(given)
    except InputError as error:
        return str(error)
    return ""


def read(card: PackCard, record: Record) -> np.ndarray:
    """One stored item of the card's kind."""
    form = stored(card.kind)
    for part in form.parts:
        if record.part(part) is None:
            raise InputError(f"{record.image}: {part}: found none, expected one for kind {card.kind!r}")
    item = form.read(record, card)
    return shrink(item[None], card.shrunk_resolution)[0] if card.shrunk_resolution else item
