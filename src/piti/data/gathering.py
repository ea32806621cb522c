"""Pictures that somebody else's method has made, joined to the test images that they are of."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from piti.cards import GatherCard
from piti.data import shards
from piti.data.packing import damaged, refusal
from piti.data.shards import Shards
from piti.datasets import listing, pictures
from piti.store.files import InputError, refuse


def gather(card: GatherCard, output: Path, folder: Path, images: Path) -> None:
    """Write the shards of the pictures below `folder`, one for each of the test images; `output` is their index.

    A picture is called as its test image's id, or as the last part of that where no two are alike. Another size is
    brought to the card's resolution as photographs are: one bicubic resize, aspect ratio not kept. That, what belongs
    to no test image, and what libjpeg finds damaged but decodes, is said and kept in the index.
    Raises InputError for test images without a picture, two of one name and unreadable files, all at once.
    """
    ids, faults = Shards(images, "images").ids, []
    files = listing.listed(folder)
    given = joined(ids, listing.pictures(files, faults))
    if missing := [i for i in ids if i not in given]:
        faults.append(f"{folder}: found no picture of {listing.some(missing)} of {len(ids):,} test images")

    def unreadable() -> list[str]:
        return list(filter(None, (refusal(partial(read, resolution=card.resolution), path) for path in given.values())))

    if faults or any(refusal(pictures.size, path) for path in given.values()):
        refuse([*faults, *unreadable()], str(folder))
    sizes = [pictures.size(path, upright=True) for path in given.values()]
    remarks = []
    if others := set(files.values()) - set(given.values()):
        remarks.append(f"{folder}: left out, of no test image: {listing.some(path.name for path in others)}")
    if odd := [pictures.spell(size) for size in sizes if size != (card.resolution, card.resolution)]:
        spelt, resolution = ", ".join(sorted(set(odd))[: listing.NAMED]), card.resolution
        remarks.append(
            f"{folder}: {len(odd):,} of {len(ids):,} resized to {resolution}×{resolution}, bicubic, from {spelt}"
        )
    remarks += damaged(list(given.values()), str(folder))
    print(*remarks, sep="\n", file=sys.stderr)

    def make(batch: list[str]) -> np.ndarray:
        return np.stack([read(given[i], card.resolution) for i in batch])

    attributes = {"remarks": remarks} if remarks else {}
    try:
        shards.write(output.parent, "images", ids, make, card.shard_size, card.resolution, attributes)
    except InputError:
        refuse(unreadable(), str(folder))
        raise


def joined(ids: list[str], found: dict[str, Path]) -> dict[str, Path]:
    """Id -> its picture, for those that have one."""
    short = {i: i.rpartition("/")[2] for i in ids}
    unique = len(set(short.values())) == len(ids)
    both = {i: found.get(i) or (found.get(short[i]) if unique else None) for i in ids}
    return {i: path for i, path in both.items() if path}


def read(path: Path, resolution: int) -> np.ndarray:
    """A picture as uint8 resolution×resolution×3."""
    return sized(np.asarray(pictures.colours(path, pictures.PAPER, upright=True)), resolution)


def sized(picture: np.ndarray, resolution: int) -> np.ndarray:
    """A picture at the resolution, resized as real images are."""
    if picture.shape[:2] == (resolution, resolution):
        return picture
    return np.asarray(Image.fromarray(picture).resize((resolution, resolution), Image.Resampling.BICUBIC))
