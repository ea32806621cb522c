"""A user's own conditions into pictures, by the same code that makes the pictures behind the tables."""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from piti.cards import GenerateCard, SampleCard
from piti.conditions import CONDITIONS, Condition
from piti.data.packing import refusal
from piti.datasets import listing
from piti.datasets.pictures import opened
from piti.devices import device
from piti.progress import progress
from piti.sample.diffusion import Sampler
from piti.sample.gan import Generator
from piti.sample.stages import Labels, Stage
from piti.store.files import InputError, atomic, read_json, refuse

DRAWN = ("Software", "piti translate")  # a PNG's own key for it


class Translator:
    """The stages of a model, loaded once: conditions as they are stored become pictures."""

    def __init__(self, stages: Sequence[Stage], kind: str, labels: Labels | None = None):
        """labels: of the data set that masks of ids are for; without them masks are taken in colours alone."""
        here = device()
        self.condition, self.labels, first = CONDITIONS[kind], labels, stages[0].card
        self.resolution = first.encoder.resolution if isinstance(first, SampleCard) else first.resolution
        self.num_classes = labels.num_classes if labels else getattr(first, "num_classes", 0) or 255
        self.stages = [_loaded(card, weights, kind, here) for card, weights in stages]

    def use(self, cards: Sequence[SampleCard | GenerateCard]) -> None:
        """Go on with other seeds and other ways of sampling."""
        for stage, card in zip(self.stages, cards, strict=True):
            stage.use(card)

    def read(self, path: Path) -> np.ndarray:
        """A condition as it is stored, from a file. Raises InputError for a file that is no such condition."""
        layout = self.labels.layout if self.labels else ""
        return self.condition.open(path, self.resolution, self.num_classes, layout)

    def __call__(self, ids: list[str], stored: np.ndarray) -> Iterator[np.ndarray]:
        """stored: uint8 B x resolution x resolution [x 6]. Yields what each stage makes of it, uint8 B x S x S x 3.

        What a condition becomes depends on (seed, id) alone, whatever batch it is in.
        """
        drawn = None
        for stage in self.stages:
            if isinstance(stage, Generator):
                known = self.condition.known(stored, self.num_classes)
                # no instances are known: the boundaries it sees are those of the labels
                drawn = stage.draw(ids, known, np.zeros_like(known) if stage.card.instances else None)
            else:
                drawn = stage.draw(ids, stored, drawn)
            yield drawn


def _loaded(card: SampleCard | GenerateCard, weights: Path, kind: str, here: torch.device) -> Sampler | Generator:
    """A stage's network. An error names the user's own file, too, where the weights were converted from one."""
    try:
        return (Generator if isinstance(card, GenerateCard) else Sampler)(card, weights, kind, here)
    except InputError as error:
        about = weights.with_name("card.json")
        source = read_json(about, "inputs")["inputs"].get("source") if about.exists() else None
        raise InputError(f"{error}; converted from {source[0]}") if source else error from None


def translate(translator: Translator, conditions: Path, out: Path, batch_size: int) -> None:
    """Write a picture `out`/ID.png for each condition (mask, sketch or geometry): a file, or all files of a folder.

    Raises InputError for files that are no such conditions, and for those that a picture would replace and that were
    not drawn here, all at once, before anything is drawn.
    """
    given = find(conditions, translator.condition)
    refuse([fault for path in given.values() if (fault := refusal(translator.read, path))], str(conditions))
    pictures = {name: out / f"{name}.png" for name in given}
    replaced = [path for path in pictures.values() if path.exists() and not _is_drawn(path)]
    refuse([f"{path}: found what was not drawn here, expected another folder" for path in replaced], str(out))
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out):
        pass  # a folder that nobody may write in is told now, not when a picture is drawn
    mark = PngInfo()
    mark.add_text(*DRAWN)
    for name, picture in drawn(translator, given, batch_size):
        with atomic(pictures[name]) as temporary:
            Image.fromarray(picture).save(temporary, format="png", pnginfo=mark)


def _is_drawn(path: Path) -> bool:
    """Whether the file is a picture of ours, which the next may replace."""
    key, value = DRAWN
    try:
        with opened(path) as image:
            return image.info.get(key) == value
    except InputError:
        return False


def drawn(
    translator: Translator, given: Mapping[str, np.ndarray | Path], batch_size: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Name and picture, uint8 S x S x 3, of each condition: a file, or an array as it is stored.

    Raises InputError for an array that is no condition of the model's resolution, or holds other numbers than stored
    ones.
    """
    ids, condition = list(given), translator.condition
    shape = condition.shape(translator.resolution)
    most = 1 if condition.bits else translator.num_classes if condition.labels else 255

    def stored(name: str) -> np.ndarray:
        one = given[name]
        array = one if isinstance(one, np.ndarray) else translator.read(one)
        if array.shape != shape or array.dtype != np.uint8:
            raise InputError(f"{name}: found {array.dtype} of shape {array.shape}, expected uint8 of shape {shape}")
        if array.max() > most:
            raise InputError(f"{name}: found {array.max()}, expected 0 to {most}")
        return array

    with progress(total=len(ids), desc="pictures", unit="image") as bar:
        for start in range(0, len(ids), batch_size):
            batch = ids[start : start + batch_size]
            *_, pictures = translator(batch, np.stack([stored(i) for i in batch]))
            yield from zip(batch, pictures, strict=True)
            bar.update(len(batch))


# -- conditions --------------------------------------------------------------------------------------------------------


def find(path: Path, condition: Condition) -> dict[str, Path]:
    """Id -> file, of one file or of a folder's files in order; of several that are one condition, the one to open.

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
    return condition.files(found)
