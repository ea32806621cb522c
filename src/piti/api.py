"""From Python: a model, pictures, scores and tables in a few lines. docs/python.md shows them.

Run in the repository's folder, as the command `piti` is: configuration and results are found there.
"""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from piti.cli.making import make
from piti.cli.translate import SAMPLING, prepared
from piti.config import Config, configured
from piti.plan import Plan
from piti.plan.data import weights_of
from piti.store.files import InputError

if TYPE_CHECKING:
    import pandas as pd

    from piti.sample.translate import Translator

Pictures = Mapping[str, np.ndarray | Path] | Path | str  # by name, as uint8 H×W×3 or files; or the folder of the files


def translator(
    model: Path | str | None = None,
    upsampler: Path | str | None = None,
    *,
    method: str | None = None,
    task: str | None = None,
    preset: str = "",
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> "Translator":
    """A model: weights that carry their card, or a method of the tables for a task (`released` is the authors').

    preset, settings: keys of the configuration, above those of config/config.yaml. options: as `piti translate` has
    them (seed, void, guidance, respacing, …).
    """
    from piti.sample.translate import Translator

    known = ("seed", "void", *SAMPLING)
    if unknown := [option for option in options if option not in known]:
        raise InputError(f"translator: found option {unknown[0]!r}, expected {', '.join(known)}")
    named = {"model": model and Path(model), "upsampler": upsampler and Path(upsampler), "method": method, "task": task}
    for option in ("seed", "void"):
        if not isinstance(found := options.get(option, 0), int) or isinstance(found, bool):
            raise InputError(f"{option}: found {found!r}, expected a whole number")
    config = _configured(preset, settings)
    return Translator(*prepared(Namespace(**dict.fromkeys(known) | options | named), config))


def draw(
    model: "Translator", conditions: Mapping[str, np.ndarray | Path | str] | Path | str, batch: int = 16
) -> dict[str, np.ndarray]:
    """A picture, uint8 S×S×3, of each condition: files by name or a folder of them, or arrays as they are stored.

    Stored: labels S×S, 0 void and the classes from 1; edges S×S, 0 or 1; normals and depth as colours S×S×6. What a
    condition becomes depends on its name and the seed.
    """
    from piti.sample.translate import drawn, find

    if not isinstance(batch, int) or batch < 1:
        raise InputError(f"batch: found {batch}, expected 1 or more")
    given = conditions
    if not isinstance(given, Mapping):
        given = find(_path("conditions", given, "a mapping"), model.condition)
    files = {name: one if isinstance(one, np.ndarray) else _path(name, one, "an array") for name, one in given.items()}
    return dict(drawn(model, files, batch))


def score(
    pictures: Pictures,
    photographs: Pictures,
    metric: str = "fid_c",
    *,
    preset: str = "",
    settings: Mapping[str, Any] | None = None,
) -> dict:
    """The score of pictures against photographs of the same names, with its interval: see `piti.evaluate.score`.

    preset, settings: as a translator's.
    """
    from piti.evaluate.extract import load as load_extractor
    from piti.evaluate.score import score as scored

    config = _configured(preset, settings)
    if metric not in config.extractors:
        raise InputError(f"metric: found {metric!r}, expected {', '.join(config.extractors)}")
    plan, name = Plan(config), config.extractors[metric]
    extractor = load_extractor(name, make(plan, weights_of(plan, name)))
    resolution = config.networks.image_resolution
    return scored(
        _features(photographs, extractor, resolution), _features(pictures, extractor, resolution), config.min_images
    )


def table(path: Path | str) -> "pd.DataFrame":
    """The long form of a table ("results/table1.csv"): a line a cell, with value, low and high of its 95 % interval."""
    import pandas as pd

    file = _path("path", path, "the name of a table").with_suffix(".long.csv")
    if not file.is_file():
        raise InputError(f"{file}: no such file, expected a table that has been made")
    return pd.read_csv(file)


def _configured(preset: str, settings: Mapping[str, Any] | None) -> Config:
    return configured(({"preset": preset} if preset else {}) | dict(settings or {}))


def _path(name: str, given: object, instead: str) -> Path:
    if not isinstance(given, str | Path):
        raise InputError(f"{name}: found {type(given).__name__}, expected {instead} or a path")
    return Path(given)


def _features(given: Pictures, extractor, resolution: int):
    from piti.data import gathering
    from piti.datasets import listing
    from piti.evaluate.extract import extract
    from piti.evaluate.features import Features

    if not isinstance(given, Mapping):
        faults: list[str] = []
        given = listing.pictures(listing.listed(_path("pictures", given, "a mapping")), faults)
        if faults:
            raise InputError(faults[0])
    if not given:
        raise InputError("found no pictures, expected at least one")

    def read(name: str, one: np.ndarray | Path | str) -> np.ndarray:
        if not isinstance(one, np.ndarray):
            return gathering.read(_path(name, one, "an array"), resolution)
        if one.dtype != np.uint8 or one.ndim != 3 or one.shape[2] != 3 or not one.size:
            shape = "(height, width, 3)"
            raise InputError(f"{name}: found {one.dtype} of shape {one.shape}, expected uint8 of shape {shape}")
        return gathering.sized(one, resolution)

    images = [read(name, one) for name, one in given.items()]
    return Features(extract(extractor, np.stack(images)), tuple(given), extractor.spec)
