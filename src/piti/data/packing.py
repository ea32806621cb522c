"""From a data set on disk to shards: every record read once, checked, brought to its side."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from piti.cards import PackCard
from piti.data import layouts, scenes, shards
from piti.data.layouts import Record
from piti.data.resize import shrink
from piti.data.sources import Sources
from piti.files import InputError


def pack(card: PackCard, root: Path, output: Path) -> None:
    """Write the shards of `card.kind` for one split of the data set below `root`; `output` is their index.

    A count that differs from the published one is reported and kept in the index: people work with subsets.
    Raises InputError for an empty split, a record without what the kind needs, and any unreadable file.
    """
    records = scan(card, root)
    message = layouts.check_count(len(records), card.expected, f"{root} ({card.split})")
    if message:
        print(message, file=sys.stderr)
    by_id = {record.id: record for record in records}
    read = reader(card)

    def make(ids: list[str]) -> np.ndarray:
        items = np.stack([read(by_id[i]) for i in ids])
        return shrink(items, card.shrunk_side) if card.shrunk_side else items

    attributes = {"num_classes": card.num_classes} if card.kind == "mask" else {}
    side = scenes.LENGTH if card.kind == "caption" else card.shrunk_side or card.side
    with tqdm(total=len(records), desc=f"{card.split} {card.kind}", unit="image") as bar:
        shards.write(
            output.parent,
            card.kind,
            list(by_id),
            make,
            card.shard_size,
            side,
            attributes | ({"count": message} if message else {}),
            progress=bar.update,
            sources=Sources(records, card.kind),
        )


def scan(card: PackCard, root: str | Path) -> list[Record]:
    """The records of a card's split."""
    limit = card.expected if card.layout == "folder" else None  # the others have splits of their own
    return layouts.scan(card.layout, root, card.split, card.exclude, limit, card.test)


def reader(card: PackCard) -> Callable[[Record], np.ndarray]:
    """What turns one record into one stored item of the card's kind."""

    def needs(record: Record, *parts: str) -> Record:
        for part in parts:
            if getattr(record, part) is None:
                raise InputError(f"{record.image}: {part}: found none, expected one for kind {card.kind!r}")
        return record

    def read_tokens(record: Record) -> np.ndarray:
        try:
            return scenes.encode(layouts.read_caption(record))
        except ValueError as error:
            raise InputError(f"{record.caption}: {error}") from None

    return {
        "images": lambda r: layouts.read_image(r, card.side),
        "mask": lambda r: layouts.read_labels(needs(r, "labels"), card.side, card.layout, card.num_classes),
        "instances": lambda r: layouts.read_instances(needs(r, "instances"), card.side),
        "geometry": lambda r: layouts.read_geometry(needs(r, "depth", "depth_mask", "normal"), card.side),
        "caption": lambda r: read_tokens(needs(r, "caption")),
    }[card.kind]
