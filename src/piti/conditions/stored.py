"""What shards hold: one kind of item, its form in the file, and how it comes out of a data set.

A condition is such a kind too (`piti.conditions.base`). The Snakefile reads these declarations: what is heavy is
imported where it is used.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from piti.cards import PackCard
    from piti.datasets.layouts import Record


class Stored:
    """One kind of item, uint8, of a resolution in pixels."""

    name: str
    dataset: str  # what the HDF5 data set is called
    compression: str | None = None
    bits = False  # every number is 0 or 1: stored eight a byte
    parts: tuple[str, ...] = ("image",)  # files of a record that it is read from
    optional: tuple[str, ...] = ()  # further ones that it is read from where they are
    depends: tuple[str, ...] = ()  # keys of a data set, fields of PackCard, that it depends on
    drawn = False  # from packed photographs by HED (facts 5), in place of being read from files

    def shape(self, resolution: int) -> tuple[int, ...]:
        """Of one item, as written and read."""
        raise NotImplementedError

    def shape_in_file(self, resolution: int) -> tuple[int, ...]:
        """Of one item as it lies in the file."""
        *above, last = self.shape(resolution)
        return (*above, -(-last // 8) if self.bits else last)

    def bytes(self, resolution: int) -> int:
        """Of one item, before compression."""
        return math.prod(self.shape_in_file(resolution))

    def resolution(self, card: "PackCard") -> int:
        """Of the items that a card is about."""
        return card.shrunk_resolution or card.resolution

    def read(self, record: "Record", card: "PackCard") -> np.ndarray:
        """The item of one record. Raises InputError: file, found, expected."""
        raise NotImplementedError

    def paint(self, stored: np.ndarray) -> list[np.ndarray]:
        """The pictures that show items as people look at them, uint8 ... x 3 each; the first says most."""
        raise NotImplementedError


class Images(Stored):
    """Photographs and samples, RGB."""

    name, dataset = "images", "images"

    def shape(self, resolution: int) -> tuple[int, ...]:
        return (resolution, resolution, 3)

    def read(self, record: "Record", card: "PackCard") -> np.ndarray:
        """One bicubic resize, aspect ratio not kept, no crop (facts 1.3)."""
        from PIL import Image

        from piti.datasets import pictures

        image = pictures.colours(record.image, pictures.PAPER, record.upright)
        return np.asarray(image.resize((card.resolution, card.resolution), Image.Resampling.BICUBIC))

    def paint(self, stored: np.ndarray) -> list[np.ndarray]:
        return [stored]


class Instances(Stored):
    """Instance maps: 0 none, 1, 2, … as annotated, a later one on top."""

    name, dataset, compression, parts = "instances", "instances", "lzf", ("image", "instances")

    def shape(self, resolution: int) -> tuple[int, ...]:
        return (resolution, resolution)

    def read(self, record: "Record", card: "PackCard") -> np.ndarray:
        """By nearest neighbour. A photograph that is listed without annotations has none; one not listed is refused."""
        from piti.datasets import instances, pictures

        drawn = instances.drawn(record.parts["instances"], record.image, record.id)
        return pictures.nearest(drawn, card.resolution)


class Caption(Stored):
    """Captions as token ids, 0 padding; in place of the resolution stands their length. What a prior is trained on."""

    name, dataset, parts = "caption", "tokens", ("caption",)
    null, mirrors = 0, False  # of a dropped caption: padding; captions say left and right

    def shape(self, resolution: int) -> tuple[int, ...]:
        return (resolution,)

    def resolution(self, card: "PackCard") -> int:
        from piti.scenes.captions import LENGTH

        return LENGTH

    def read(self, record: "Record", card: "PackCard") -> np.ndarray:
        from piti.scenes.captions import encode
        from piti.store.files import InputError

        path = record.parts["caption"]
        try:
            return encode(path.read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: not readable as text ({error})") from None
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None

    def encode(self, tokens: np.ndarray) -> np.ndarray:
        """What the text transformer takes, int64 N x length."""
        return tokens.astype(np.int64)
