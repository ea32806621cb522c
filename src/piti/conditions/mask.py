"""Segmentation masks: labels, 0 void, then the classes; shown in the label colour map."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from piti.conditions.base import Condition
from piti.datasets.colours import colour_map
from piti.datasets.layouts import LAYOUTS, Record
from piti.store.files import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from piti.cards import PackCard

_LEVELS = colour_map(256).T.astype(np.float32) / 255 * 2 - 1  # 3 x 256


class Mask(Condition):
    """Labels uint8 S x S."""

    name, channels, dataset, compression = "mask", 3, "labels", "lzf"
    parts, depends, labels = ("image", "labels"), ("num_classes",), True

    def shape(self, resolution: int) -> tuple[int, ...]:
        return (resolution, resolution)

    def read(self, record: Record, card: "PackCard") -> np.ndarray:
        """By nearest neighbour. The whole map is checked, not the sample."""
        from piti.datasets import pictures

        path, layout = record.parts["labels"], LAYOUTS[card.layout]
        size = pictures.size(record.image, record.upright)
        stored = pictures.ids(path, layout.label_shift, record.upright)
        if (found := stored.shape[::-1]) != size:
            raise InputError(
                f"{path}: found {pictures.spell(found)}, expected {pictures.spell(size)} as {record.image.name}"
            )
        if stored.max() >= card.num_classes:
            label = int(stored[stored >= card.num_classes][0]) - layout.label_shift
            raise InputError(f"{path}: found label {label}, expected {card.num_classes - 1} classes ({layout.name})")
        return pictures.nearest(stored, card.resolution)

    def encode(self, stored: np.ndarray, void: int = 0) -> np.ndarray:
        """In colours; void in that of the label `void`: black, unless somebody counts it as the last class."""
        labels = np.where(stored == 0, np.uint8(void), stored) if void else stored
        out = np.empty((len(labels), 3, *labels.shape[1:]), np.float32)
        for target, each in zip(out, labels, strict=True):
            # "raise" would go through a buffer; uint8 cannot be out
            np.take(_LEVELS, each, axis=1, out=target, mode="clip")
        return out

    def paint(self, stored: np.ndarray) -> list[np.ndarray]:
        return [colour_map(256)[stored]]

    def open(self, path: Path, resolution: int, num_classes: int = 255, layout: str = "") -> np.ndarray:
        """In the colours of the label colour map (that after the last class is void too, for some count it last: it
        stays as it is painted), or in one channel of the layout's ids.
        """
        from piti.datasets import pictures

        found = pictures.labels(path, upright=True)
        if found.ndim == 2 and not layout:
            raise InputError(f"{path}: found label ids, expected to hear of which task (--task), or a mask in colours")
        shift = LAYOUTS[layout].label_shift if found.ndim == 2 else 0
        stored = pictures.ids(path, shift, upright=True)
        most = num_classes if found.ndim == 3 else num_classes - 1
        if stored.max() > most:
            expected = f"0 to {most - shift} (255 is void)" if shift else f"0 (void) to {num_classes - 1}"
            raise InputError(f"{path}: found label {stored.max() - shift}, expected {expected}")
        return pictures.nearest(stored, resolution)

    def known(self, stored: np.ndarray, num_classes: int) -> np.ndarray:
        """The label after the last class is void."""
        return np.where(stored == num_classes, 0, stored)

    def brush(self, palette: dict[str, int]) -> dict[str, tuple[int, int, int]]:
        return {name: tuple(colour_map(256)[label].tolist()) for name, label in palette.items()}

    def cleaned(self, picture: np.ndarray, num_classes: int) -> np.ndarray:
        """A pixel in none of the colours takes that of the nearest that has one. Raises InputError for what is no
        mask.
        """
        from scipy.ndimage import distance_transform_edt

        colours = colour_map(min(num_classes + 1, 256))
        known = np.isin(picture @ [1 << 16, 1 << 8, 1], colours @ [1 << 16, 1 << 8, 1])
        if known.mean() < 0.8:
            raise InputError(
                f"found {known.mean():.0%} of the pixels in colours of the label colour map, expected a mask"
            )
        return picture[tuple(distance_transform_edt(~known, return_distances=False, return_indices=True))]

    def baseline_channels(self, num_classes: int, instances: bool, classes: tuple[int, ...] = ()) -> int:
        """One a class, void included, or void and each of `classes`; and one for instance boundaries."""
        return (1 + len(classes) if classes else num_classes) + instances

    def for_loader(self, stored: np.ndarray, view: str = "") -> np.ndarray:
        return stored

    def semantics(
        self, loaded: "Tensor", num_classes: int, instances: "Tensor | None" = None, classes: tuple[int, ...] = ()
    ) -> "Tensor":
        """One-hot, with the boundaries of `instances` as a last channel where those are given. Labels that have no
        channel are void.
        """
        import torch

        from piti.conditions.semantics import boundary, one_hot, places

        channels = self.baseline_channels(num_classes, False, classes)
        labels = one_hot(places(loaded, classes) if classes else loaded, channels)
        return labels if instances is None else torch.cat([labels, boundary(loaded, instances)], dim=1)

    def estimator_channels(self, num_classes: int) -> int:
        """Logits of the labels 1 .. num_classes-1."""
        return num_classes - 1

    def estimator_loss(self, found: "Tensor", target: "Tensor") -> "Tensor":
        """Cross entropy over the labelled pixels (1)."""
        import torch.nn.functional as F

        return F.cross_entropy(found, target.long() - 1, ignore_index=-1, reduction="sum")[None]

    def said(self, target: "Tensor") -> "Tensor":
        return (target > 0).sum()[None]

    def predicted(self, found: "Tensor") -> "Tensor":
        return found.argmax(dim=1) + 1
