"""A user's own conditions into pictures, by the same code that makes the pictures behind the tables."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from piti.cards import GenerateCard, SampleCard
from piti.data import layouts, listing, pictures
from piti.data.packing import refusal
from piti.devices import device
from piti.sample.diffusion import Sampler
from piti.sample.gan import Generator
from piti.sample.stages import Labels, Stage
from piti.store.files import InputError, atomic, refuse

GROUND = "black"  # under transparent pixels: no edge


class Translator:
    """The stages of a model, loaded once: conditions as they are stored become pictures."""

    def __init__(self, stages: Sequence[Stage], kind: str, labels: Labels | None = None):
        """labels: of the data set that masks of ids are for; without them masks are taken in colours alone."""
        here = device()
        self.kind, self.labels, first = kind, labels, stages[0].card
        self.resolution = first.encoder.resolution if isinstance(first, SampleCard) else first.resolution
        self.num_classes = labels.num_classes if labels else getattr(first, "num_classes", 0) or 255
        self.stages = [
            (Generator if isinstance(card, GenerateCard) else Sampler)(card, weights, kind, here)
            for card, weights in stages
        ]

    def use(self, cards: Sequence[SampleCard | GenerateCard]) -> None:
        """Go on with other seeds and other ways of sampling."""
        for stage, card in zip(self.stages, cards, strict=True):
            stage.use(card)

    def read(self, path: Path) -> np.ndarray:
        """A condition as it is stored, from a file. Raises InputError for a file that is no such condition."""
        if self.kind == "mask":
            return read_mask(path, self.resolution, self.num_classes, self.labels)
        return {"sketch": read_sketch, "geometry": read_geometry}[self.kind](path, self.resolution)

    def __call__(self, ids: list[str], stored: np.ndarray) -> Iterator[np.ndarray]:
        """stored: uint8 B x resolution x resolution [x 6]. Yields what each stage makes of it, uint8 B x S x S x 3.

        What a condition becomes depends on (seed, id) alone, whatever batch it is in.
        """
        drawn = None
        for stage in self.stages:
            if isinstance(stage, Generator):
                known = np.where(stored == self.num_classes, 0, stored) if self.kind == "mask" else stored
                # no instances are known: the boundaries it sees are those of the labels
                drawn = stage.draw(ids, known, np.zeros_like(known) if stage.card.instances else None)
            else:
                drawn = stage.draw(ids, stored, drawn)
            yield drawn


def translate(translator: Translator, conditions: Path, out: Path, batch_size: int) -> None:
    """Write a picture `out`/ID.png for each condition (mask, sketch or geometry): a file, or all files of a folder.

    Raises InputError for files that are no such conditions, all at once, before anything is drawn.
    """
    given = find(conditions, translator.kind)
    refuse([fault for path in given.values() if (fault := refusal(translator.read, path))], str(conditions))
    for name, picture in drawn(translator, given, batch_size):
        with atomic(out / f"{name}.png") as temporary:
            Image.fromarray(picture).save(temporary, format="png")


def drawn(
    translator: Translator, given: Mapping[str, np.ndarray | Path], batch_size: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Name and picture, uint8 S x S x 3, of each condition: a file, or an array as it is stored.

    Raises InputError for an array that is no condition of the model's resolution.
    """
    ids = list(given)
    shape = (translator.resolution, translator.resolution, *([6] if translator.kind == "geometry" else []))

    def stored(name: str) -> np.ndarray:
        one = given[name]
        array = one if isinstance(one, np.ndarray) else translator.read(one)
        if array.shape != shape or array.dtype != np.uint8:
            raise InputError(f"{name}: found {array.dtype} of shape {array.shape}, expected uint8 of shape {shape}")
        return array

    with tqdm(total=len(ids), desc="pictures", unit="image") as bar:
        for start in range(0, len(ids), batch_size):
            batch = ids[start : start + batch_size]
            *_, pictures = translator(batch, np.stack([stored(i) for i in batch]))
            yield from zip(batch, pictures, strict=True)
            bar.update(len(batch))


# -- conditions --------------------------------------------------------------------------------------------------------


def find(path: Path, kind: str) -> dict[str, Path]:
    """Id -> file, of one file or of a folder's files in order; of geometry the file of the normals.

    What is no picture is counted on stderr. Raises InputError for two pictures of one name.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    files = listing.listed(path) if path.is_dir() else {listing.plain(path.name): path}
    faults: list[str] = []
    found = listing.pictures(files, faults) if path.is_dir() else {listing.stem(name): path for name in files}
    refuse(faults, str(path))
    if others := [name for name in files if path.is_dir() and not listing.is_picture(name)]:
        print(f"{path}: left out, for they are no pictures: {listing.some(others)}", file=sys.stderr)
    if not found:
        raise InputError(f"{path}: found no picture, expected at least one ({', '.join(listing.SUFFIXES)})")
    if kind == "geometry":
        normals = {name.removesuffix("_normal").removesuffix("_depth"): file for name, file in found.items()}
        return {name: file.with_name(file.name.replace("_depth.", "_normal.")) for name, file in normals.items()}
    return found


def read_mask(path: Path, resolution: int, num_classes: int, ids: Labels | None = None) -> np.ndarray:
    """Stored labels uint8 resolution x resolution: 0 void, then the classes.

    A mask is in the colours that the label colour map paints those in (the colour after the last class is void too, for
    some count it last: it stays as it is painted), or in one channel of `ids`.
    """
    found = pictures.labels(path, upright=True)
    if found.ndim == 2 and ids is None:
        raise InputError(f"{path}: found label ids, expected to hear of which task (--task), or a mask in colours")
    stored = pictures.ids(path, layouts.LABEL_SHIFT[ids.layout] if ids else 0, upright=True)
    most = num_classes if found.ndim == 3 else num_classes - 1
    if stored.max() > most:
        raise InputError(f"{path}: found label {stored.max()}, expected 0 (void) to {num_classes - 1}")
    return nearest(stored, resolution)


def read_sketch(path: Path, resolution: int) -> np.ndarray:
    """Edges uint8 resolution x resolution, 1 where the picture is white."""
    bits = nearest(pictures.colours(path, GROUND, upright=True).convert("L"), resolution) > 127
    if bits.mean() > 0.5:
        raise InputError(f"{path}: found {bits.mean():.0%} white pixels, expected white edges on black")
    return bits.astype(np.uint8)


def read_geometry(path: Path, resolution: int) -> np.ndarray:
    """Normal and depth as colours, uint8 resolution x resolution x 6."""
    depth = path.with_name(path.name.replace("_normal.", "_depth."))
    if depth == path:
        raise InputError(f"{path}: found no _normal in its name, expected NAME_normal.png beside NAME_depth.png")
    for file in (path, depth):
        with pictures.opened(file) as image:
            if image.mode not in ("RGB", "RGBA", "P"):
                raise InputError(f"{file}: found a picture of mode {image.mode}, expected one in colours (RGB)")
    return np.concatenate(
        [nearest(pictures.colours(file, GROUND, upright=True), resolution) for file in (path, depth)], -1
    )


def nearest(picture: Image.Image | np.ndarray, resolution: int) -> np.ndarray:
    """At the resolution that the model takes, by nearest neighbour (facts 1.3)."""
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    return np.asarray(image.resize((resolution, resolution), Image.Resampling.NEAREST))
