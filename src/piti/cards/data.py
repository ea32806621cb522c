"""Data and published weights. Where they come from is `apart`: when it changes, nothing is made anew.

A data set is its name, layout, version, splits, counts used and exclusions. Weights are their digest where one is
stated, else their name.
"""

from dataclasses import dataclass
from typing import Literal

from piti.cards.base import Card, apart


@dataclass(frozen=True, kw_only=True)
class ScenesCard(Card):
    """A synthetic data set on disk, in the layout of a real one."""

    layout: str
    seed: int
    resolution: int
    style: str
    train: int
    test: int


@dataclass(frozen=True, kw_only=True)
class DownloadCard(Card):
    """One file as its publisher offers it: from a URL, or out of a Python package."""

    name: str = ""  # of the entry and file, where no digest is stated; what it is known by in the pins
    version: str = ""
    member: str = ""
    digest: str = ""  # "sha256:…"; empty: pinned on first use
    file: str = apart("")
    url: tuple[str, ...] = apart(())
    package: str = apart("")
    bytes: int | None = apart(None)
    gb: float = apart(0.0)  # about, where the bytes are not known
    extracted_gb: float = apart(0.0)  # of an archive, where that differs
    files: int = apart(0)  # in it


@dataclass(frozen=True, kw_only=True)
class ExtractCard(Card):
    """The extracted archives of one data set."""

    archives: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class WeightsCard(Card):
    """Published weights in our own form."""

    format: str
    name: str = ""  # of the entry, where no digest is stated; what the file is known by in the pins
    version: str = ""
    digest: str = ""  # of the published file, where the configuration states one
    member: str = ""  # of the package that the digest is about
    path: str = apart("")  # the user's own file, if it is one
    licence: str = apart("")


@dataclass(frozen=True, kw_only=True)
class PackCard(Card):
    """One split of a data set as shards: its photographs, or what its files say about them."""

    dataset: str  # its name
    layout: str
    version: str = ""
    synthetic: str = ""  # digest of the synthetic data set, if it is one
    split: Literal["train", "test"]
    kind: str  # of its items (`piti.conditions.stored`)
    resolution: int
    shrunk_resolution: int = 0  # photographs resized once more, for the base model (facts 1.3)
    train: int = 0  # of a layout without splits of its own, which are made of the two counts
    test: int = 0
    num_classes: int = 0
    exclude: tuple[str, ...] = ()
    depth_unit: Literal["m", "cm", "mm"] = "m"  # of the depth files, for geometry
    expected: int = apart(0)  # photographs in this split: without splits of its own at most, else as published
    archives: tuple[str, ...] = apart(())  # "file digest" of those that state one
    folders: tuple[str, ...] = apart(())  # below the root, for each of its archives; where it is packed out of them
    shard_size: int = apart(4096)


@dataclass(frozen=True, kw_only=True)
class SketchCard(Card):
    """Binarised HED edges of packed photographs (facts 5)."""

    images: str
    kind: str
    hed: str
    resolution: int
    hed_resolution: int
    threshold: float = 0.6
    shard_size: int = apart(4096)
