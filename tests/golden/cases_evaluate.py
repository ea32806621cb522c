"""Golden case `fid`: Fréchet distances, KID, and clean-fid's resizing."""

import re

import numpy as np
import torch
from torch.nn import functional as F

from piti.evaluate import frechet, kid
from piti.evaluate.extract import bicubic_float
from tests.golden.check import Tolerance
from tests.golden.rule import Case


def fid(case: Case) -> dict[str, np.ndarray]:
    outputs = {}
    for name, *_ in case.config["sets"]:
        x, y = case.input(f"{name}_x"), case.input(f"{name}_y")
        (mean1, cov1), (mean2, cov2) = frechet.moments(x), frechet.moments(y)
        outputs[f"fid_{name}"] = np.float64(frechet.distance(x, y))
        root = frechet.trace_of_root(cov1, cov2)
        outputs[f"parts_{name}"] = np.array([np.sum((mean1 - mean2) ** 2), np.trace(cov1), np.trace(cov2), root])
        if description := case.entry["outputs"].get(f"kid_{name}"):
            subsets, size = map(int, re.search(r"(\d+) subsets of (\d+)", description["what"]).groups())
            outputs[f"kid_{name}"] = np.float64(mean_of_subsets(x, y, subsets, size))
    for output in case.entry["outputs"]:
        if match := re.fullmatch(r"img(\d+)_(\D*)(\d+)", output):
            number, mode, resolution = match.groups()
            image = torch.from_numpy(case.input(f"image{number}")).permute(2, 0, 1)[None]
            # the legacy mode is torch's own resize, which no extractor here uses
            resized = (
                F.interpolate(image.float(), int(resolution), mode="bilinear")
                if mode == "legacy"
                else bicubic_float(image, int(resolution))
            )
            outputs[output] = resized[0].permute(1, 2, 0).numpy()
    return outputs


def mean_of_subsets(real: np.ndarray, fake: np.ndarray, subsets: int, size: int) -> float:
    """KID as published numbers and clean-fid have it: the mean over random subsets, drawn as clean-fid draws them."""
    draw, size, values = np.random.RandomState(0), min(len(real), len(fake), size), []
    for _ in range(subsets):
        y = fake[draw.choice(len(fake), size, replace=False)]
        x = real[draw.choice(len(real), size, replace=False)]
        values.append(kid.distance(x, y))
    return np.mean(values)


def tolerance(case: Case, output: str) -> Tolerance | None:
    """The entry's words: resized pixels within 1e-3 of a grey level, singular sets within 1e-4, the others 1e-6."""
    if output.startswith("img"):
        return Tolerance(abs=1e-3)
    sizes = {name: (n, m, d) for name, n, m, d in case.config["sets"]}
    n, m, d = sizes[output.partition("_")[2]]
    return Tolerance(abs=1e-4) if min(n, m) <= d else Tolerance(rel=1e-6)


CASES = {"fid": fid}
TOLERANCES = {"fid": tolerance}
