"""What a kind of condition is: everything that anybody asks of it, in one object.

A new one is a class in a file of its own, registered in `CONDITIONS`, here or by a plug-in. Only `name`, `channels`,
`dataset`, `shape`, `read`, `encode`, `paint` and `open` must be said; the rest has a meaning that fits maps of numbers.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from piti.conditions.stored import Stored

if TYPE_CHECKING:
    from torch import Tensor


class Condition(Stored):
    """One kind of condition. Stored items are uint8 N x S x S [x K]; a flip acts on them, on axis 2."""

    channels: int  # of the encoder's input
    null = 1  # value of the condition that says nothing, everywhere: for classifier-free guidance (facts 1.3)
    labels = False  # whether items are class labels: what edits change and instance boundaries are added to
    mirrors = True  # whether the mirrored item is the item of the mirrored picture; PITI mirrors all the same

    def encode(self, stored: np.ndarray, void: int = 0) -> np.ndarray:
        """The encoder's input, float32 N x channels x S x S in [-1, 1]. void: as in TrainingConfig."""
        raise NotImplementedError

    # -- a user's own files ------------------------------------------------------------------------------------------

    asks: dict[str, str] = {"": "Paint, or upload a file"}  # ending of a file's name -> what the demo calls it

    def files(self, found: dict[str, Path]) -> dict[str, Path]:
        """Id -> file to open, of the pictures of a folder by name."""
        return found

    def open(self, path: Path, resolution: int, num_classes: int = 255, layout: str = "") -> np.ndarray:
        """An item from a picture file. layout: of the data set that one-channel label ids are numbered in; "": unknown.

        Raises InputError for a file that is no such condition.
        """
        raise NotImplementedError

    def known(self, stored: np.ndarray, num_classes: int) -> np.ndarray:
        """The items without labels that a baseline of so many classes has never seen."""
        return stored

    def brush(self, palette: dict[str, int]) -> dict[str, tuple[int, int, int]]:
        """Colours that it is painted with in the demo; none: it is uploaded. palette: class -> label."""
        return {}

    def cleaned(self, picture: np.ndarray, num_classes: int) -> np.ndarray:
        """A painted picture without the blended colours at the edges of brush strokes: uint8 H x W x 3, or x 4 where
        items are no labels and some of it is transparent.
        """
        return picture

    # -- what a GAN baseline sees (facts 3) ---------------------------------------------------------------------------

    views: tuple[str, ...] = ("",)  # ways in which a baseline may see it; the first is the default

    def baseline_channels(self, num_classes: int, instances: bool, classes: tuple[int, ...] = ()) -> int:
        """Channels of a baseline's input, `semantics`."""
        return self.channels

    def for_loader(self, stored: np.ndarray, view: str = "") -> np.ndarray:
        """What the loader makes of stored items; one-hot labels are large, and made on the device by `semantics`."""
        return self.encode(stored)

    def semantics(
        self, loaded: "Tensor", num_classes: int, instances: "Tensor | None" = None, classes: tuple[int, ...] = ()
    ) -> "Tensor":
        """A baseline's input, float32 N x C x S x S, of what the loader handed on, on its device.

        classes: labels that have a channel, void before them; empty: all of `num_classes`.
        """
        return loaded

    # -- predicting it from pictures -------------------------------------------------------------------------------

    def estimator_channels(self, num_classes: int) -> int:
        """Output channels of an estimator; 0: it has none."""
        return 0

    def target(self, stored: np.ndarray) -> np.ndarray:
        """What an estimator should predict, made of stored items."""
        return stored

    def estimator_loss(self, found: "Tensor", target: "Tensor") -> "Tensor":
        """Each term of the loss (K), summed over the pixels that have a target. found: N x C x S x S, its output."""
        raise NotImplementedError

    def said(self, target: "Tensor") -> "Tensor":
        """How many pixels each term of the loss is summed over (K)."""
        raise NotImplementedError

    def predicted(self, found: "Tensor") -> "Tensor":
        """The prediction in an estimator's output, in a form that measures compare with stored items."""
        return found
