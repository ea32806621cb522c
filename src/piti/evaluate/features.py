"""Features on disk: one safetensors file with the values, the ids of the images, and which extractor made them."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from piti.store.files import InputError, atomic


@dataclass(frozen=True)
class Spec:
    """What a feature vector is. Scores are comparable only where all of this agrees."""

    name: str
    layer: str
    width: int
    resize: str  # from the image to the network's input
    weights: str  # SHA-256 of the weights file


@dataclass(frozen=True)
class Features:
    """Feature vectors of a set of images."""

    values: np.ndarray  # N×width float32
    ids: tuple[str, ...]  # N, unique
    spec: Spec

    @cached_property
    def digest(self) -> str:
        """Ten hexadecimal characters of SHA-256 over ids and values: the name of a reference set."""
        text = json.dumps(self.ids).encode()
        return hashlib.sha256(text + np.ascontiguousarray(self.values).tobytes()).hexdigest()[:10]


def write_features(path: str | Path, features: Features) -> None:
    """Write features atomically."""
    metadata = {"about": json.dumps({"ids": features.ids, "spec": asdict(features.spec)})}  # several keys have no order
    with atomic(path) as temporary:
        save_file({"features": np.ascontiguousarray(features.values, np.float32)}, temporary, metadata)


def read_features(path: str | Path) -> Features:
    """Read features. Raises InputError where the file is missing, truncated or something else."""
    try:
        with safe_open(path, "numpy") as file:
            about, values = json.loads(file.metadata()["about"]), file.get_tensor("features")
        features = Features(values, tuple(about["ids"]), Spec(**about["spec"]))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: found no readable features ({reason}), expected a safetensors file of them"
        ) from None
    expected = (len(features.ids), features.spec.width)
    if values.shape != expected:
        raise InputError(f"{path}: features: found shape {values.shape}, expected {expected}")
    return features
