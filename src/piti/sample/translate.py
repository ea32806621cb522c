"""A user's own conditions into pictures, by the same code that makes the pictures behind the tables."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from piti.cards import GenerateCard, SampleCard
from piti.data import layouts
from piti.data.conditions import CONDITIONS
from piti.data.conditions.mask import colour_map
from piti.devices import device
from piti.files import InputError, atomic
from piti.sample.diffusion import Sampler
from piti.sample.gan import Generator
from piti.sample.stages import Stage

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


class Translator:
    """The stages of a model, loaded once: conditions as they are stored become pictures."""

    def __init__(self, stages: Sequence[Stage], kind: str):
        here = device()
        self.kind, self.condition, first = kind, CONDITIONS[kind], stages[0].card
        self.side = first.encoder.side if isinstance(first, SampleCard) else first.side
        self.num_classes = getattr(first, "num_classes", 0) or 256
        self.stages = [
            Generator(card, weights, kind, here)
            if isinstance(card, GenerateCard)
            else Sampler(card, weights, self.condition.channels, here)
            for card, weights in stages
        ]

    def use(self, cards: Sequence[SampleCard | GenerateCard]) -> None:
        """Go on with other seeds and other ways of sampling."""
        for stage, card in zip(self.stages, cards, strict=True):
            stage.use(card)

    def read(self, path: Path) -> np.ndarray:
        """A condition as it is stored, from a file. Raises InputError for a file that is no such condition."""
        return READERS[self.kind](path, self.side, self.num_classes)

    def __call__(self, ids: list[str], stored: np.ndarray) -> Iterator[np.ndarray]:
        """stored: uint8 B x side x side [x 6]. Yields what each stage makes of it, uint8 B x S x S x 3.

        What a condition becomes depends on (seed, id) alone, whatever batch it is in.
        """
        pictures = None
        for stage in self.stages:
            if isinstance(stage, Generator):  # no instances are known: the boundaries it sees are those of the labels
                pictures = stage.draw(ids, stored, np.zeros_like(stored) if stage.card.instances else None)
            else:
                pictures = stage.draw(ids, self.condition.encode(stored), pictures)
            yield pictures


def translate(translator: Translator, conditions: Path, out: Path, batch_size: int) -> None:
    """Write a picture `out`/ID.png for each condition (mask, sketch or geometry): a file, or all files of a folder.

    Raises InputError for a file that is no such condition, before anything is drawn.
    """
    given = find(conditions, translator.kind)
    for path in given.values():
        translator.read(path)
    ids = list(given)
    with tqdm(total=len(ids), desc="pictures", unit="image") as bar:
        for start in range(0, len(ids), batch_size):
            batch = ids[start : start + batch_size]
            *_, pictures = translator(batch, np.stack([translator.read(given[i]) for i in batch]))
            for name, picture in zip(batch, pictures, strict=True):
                with atomic(out / f"{name}.png") as temporary:
                    Image.fromarray(picture).save(temporary, format="png")
            bar.update(len(batch))


# -- conditions --------------------------------------------------------------------------------------------------------


def find(path: Path, kind: str) -> dict[str, Path]:
    """Id -> file, of one file or of a folder's files in order; of geometry the file of the normals."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    files = sorted(f for f in path.iterdir() if f.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
    if kind == "geometry":
        normals = dict.fromkeys(f.with_name(f.name.replace("_depth.", "_normal.")) for f in files)
        return {f.stem.removesuffix("_normal"): f for f in normals}
    if not files:
        raise InputError(f"{path}: found no picture, expected at least one ({', '.join(SUFFIXES)})")
    return {f.stem: f for f in files}


def read_mask(path: Path, side: int, num_classes: int) -> np.ndarray:
    """Label ids uint8 side x side: 0 void, then classes; of colours those that the colour map paints them in."""
    picture = np.asarray(opened(path, side, ("L", "P", "RGB")))
    if picture.ndim == 2:
        labels = picture
    else:
        ids = {tuple(colour): i for i, colour in reversed(list(enumerate(colour_map(256).tolist())))}
        colours, places = np.unique(picture.reshape(-1, 3), axis=0, return_inverse=True)
        if unknown := [colour for colour in map(tuple, colours.tolist()) if colour not in ids]:
            raise InputError(f"{path}: found colour {unknown[0]}, expected those of the label colour map, or label ids")
        labels = np.array([ids[tuple(c)] for c in colours.tolist()], np.uint8)[places].reshape(side, side)
    if labels.max() >= min(num_classes, 255):
        raise InputError(f"{path}: found label {labels.max()}, expected 0 (void) to {min(num_classes, 255) - 1}")
    return labels


def read_sketch(path: Path, side: int, _: int) -> np.ndarray:
    """Edges uint8 side x side, 1 where the picture is white."""
    bits = np.asarray(opened(path, side, ("L", "RGB", "1")).convert("L")) > 127
    if bits.mean() > 0.5:
        raise InputError(f"{path}: found {bits.mean():.0%} white pixels, expected white edges on black")
    return bits.astype(np.uint8)


def read_geometry(path: Path, side: int, _: int) -> np.ndarray:
    """Normal and depth as colours, uint8 side x side x 6."""
    depth = path.with_name(path.name.replace("_normal.", "_depth."))
    if depth == path:
        raise InputError(f"{path}: found no _normal in its name, expected NAME_normal.png beside NAME_depth.png")
    return np.concatenate([np.asarray(opened(file, side, ("RGB",))) for file in (path, depth)], axis=-1)


READERS = {"mask": read_mask, "sketch": read_sketch, "geometry": read_geometry}


def opened(path: Path, side: int, modes: tuple[str, ...]) -> Image.Image:
    """A picture at the side that the model takes, by nearest neighbour (facts 1.3); an alpha channel is dropped."""
    with layouts.opened(path) as image:
        image.load()
    image = image.convert("RGB") if image.mode == "RGBA" else image
    if image.mode not in modes:
        raise InputError(f"{path}: found a picture of mode {image.mode}, expected {' or '.join(modes)}")
    return image.resize((side, side), Image.Resampling.NEAREST)
