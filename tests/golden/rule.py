"""The rule by which anybody recreates the golden cases' weights and inputs, and the case that applies it.

Nothing random is stored: a tensor's values follow from its name (CRC-32 seeds NumPy's legacy generator), an input's
from its seed string or from a formula written in its entry.
"""

import functools
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np


def stream(seed: str, shape: list[int]) -> np.ndarray:
    """Standard normal numbers, float64, that belong to the string `seed`."""
    return np.random.RandomState(zlib.crc32(seed.encode())).standard_normal(tuple(shape))


def weight(name: str, shape: list[int], entry: dict) -> np.ndarray:
    """The value of the tensor `name`, by the lists and the scale of its entry."""
    if name in (entry.get("unit_l2") or ()):
        draw = stream(name, shape)
        return (draw / np.linalg.norm(draw)).astype(np.float32)
    if name in (entry.get("default_buffers") or ()):
        return np.full(shape, float(name.endswith("running_var")), np.float32)
    value = stream(name, shape).astype(np.float32) * np.float32(entry.get("scale", 0.05))
    return np.asarray(value + np.float32(1) if name in (entry.get("plus_one") or ()) else value)


class Case:
    """One entry of `cases.json`, with its inputs, its weights and its expected outputs."""

    def __init__(self, folder: str | Path, entry: dict):
        self.folder, self.entry = Path(folder), entry
        self.name: str = entry["case"]
        self.config: dict[str, Any] = entry.get("config") or {}

    @functools.cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """The expected outputs as stored (large ones strided)."""
        with np.load(self.folder / self.entry["file"]) as file:
            return dict(file)

    def input(self, name: str) -> np.ndarray:
        """The input `name`; its first values and its mean or sum are checked against the entry."""
        (spec,) = [i for i in self.entry["inputs"] if i["name"] == name]
        if "seed_string" in spec:
            value = _transform(stream(spec["seed_string"], spec["shape"]), spec["transform"]).astype(np.float32)
            stored, total = spec["mean"], value.mean(dtype=np.float64)
        else:
            value = _recipe(spec, self.entry["variant"])
            stored, total = spec["sum"], value.sum(dtype=np.float64)
        first = value.ravel()[: len(spec["first"])]
        np.testing.assert_allclose(first, spec["first"], rtol=1e-6, atol=1e-9, err_msg=f"{self.name}: input {name}")
        np.testing.assert_allclose(total, stored, rtol=1e-5, atol=1e-7, err_msg=f"{self.name}: input {name}")
        return value

    def weights(self, prefix: str = "", key: str = "state_dict") -> dict[str, np.ndarray]:
        """Rule-made arrays under the names of the entry's list `key` that start with `prefix`, which is cut off."""
        return {
            name.removeprefix(prefix): weight(name, shape, self.entry)
            for name, shape in self.entry[key]
            if name.startswith(prefix)
        }

    def fill(self, module: Any, prefix: str = "", key: str = "state_dict") -> Any:
        """Load `weights(prefix, key)` strictly into a torch module and return it."""
        import torch

        module.load_state_dict({name: torch.from_numpy(value) for name, value in self.weights(prefix, key).items()})
        return module


def load_cases(folder: str | Path) -> list[Case]:
    """All cases of a directory in the golden format."""
    return [Case(folder, entry) for entry in json.loads((Path(folder) / "cases.json").read_text())["cases"]]


# -- formulas of the entries -----------------------------------------------------------------------------------------
# They are short arithmetic, written for people: a little translation makes them Python, and the stored first values
# and sums tell whether it was understood.


def _transform(v: np.ndarray, text: str) -> np.ndarray:
    """The float64 transform of a normal draw, e.g. "clip(0.8*v, -1, 1) (in float64, before the cast)"."""
    text = re.sub(r"\((in|cast) float64[^)]*\)", "", text).split(":")[-1].strip()
    text = re.sub(r"np\.tanh(?!\()", "tanh(v)", text).replace("column index", "column")
    if text == "none":
        return v
    names = {"v": v, "column": np.arange(v.shape[-1]), "d": v.shape[-1]}
    if v.ndim == 4:
        names["channel"] = np.arange(v.shape[1])[:, None, None]
    return _evaluate(text, names)


def _recipe(spec: dict, variant: str) -> np.ndarray:
    """An input made of integers: statements about positions, separated by semicolons."""
    text, shape, dtype = spec["recipe"], tuple(spec["shape"]), np.dtype(spec["dtype"])
    if text.startswith("literal list"):
        values = list(spec["first"])
        if np.prod(shape) == len(values) + 1:
            values.append(spec["sum"] - sum(values))
        return np.array(values, dtype).reshape(shape)
    if lengths := re.match(r"True for the first (\[.*?\]) positions", text):
        return np.arange(shape[1]) < np.array(json.loads(lengths[1]))[:, None]

    h, w = shape[:2] if len(shape) == 3 else shape[-2:]
    names = {"B": shape[0], "b": np.arange(shape[0]).reshape(-1, 1, 1, 1), "h": h, "w": w}
    names |= {"H": h, "W": w, "y": np.arange(h)[:, None], "x": np.arange(w)[None, :]}
    names |= {"row": np.arange(h)[:, None, None], "column": np.arange(w)[:, None], "channel": np.arange(shape[-1])}

    text = text.replace("<variant>", variant)
    text = re.sub(r",? shape \(.*|,? reshaped to .*|, uint8, .*", "", text)
    text = re.sub(r" with y row.*?(?=;|$)| as uint8.*| \(y row.*", "", text)
    target = "v"
    for statement in text.split(";"):
        statement = statement.strip().removeprefix("then ")
        if not statement:
            continue
        if item := re.fullmatch(r"(\w+)\[(.*)\] ?= ?(\d+)", statement):  # s[40,50:90]=255
            names[item[1]][_evaluate(f"index[{item[2]}]", {"index": np.s_})] = int(item[3])
            continue
        if assignment := re.fullmatch(r"(\w+) = (.*)", statement):
            target, statement = assignment[1], assignment[2]
        if choice := re.fullmatch(r"(.*?) where (.*) else (.*)", statement):  # 255 where … else 0
            target = "s"
            statement = f"where({choice[2]}, {choice[1]}, {choice[3]})"
        elif choice := re.fullmatch(r"(.*?) where (.*)", statement):  # v = 3 where v == 2
            statement = f"where({choice[2]}, {choice[1]}, {target})"
        names[target] = _evaluate(statement, names)
    value = np.asarray(names[target])
    return (value.reshape(shape) if value.size == np.prod(shape) else np.broadcast_to(value, shape)).astype(dtype)


def _evaluate(text: str, names: dict[str, Any]) -> Any:
    text = re.sub(r"\|(.*?)\|", r"abs(\1)", text.replace("^", "**"))
    text = re.sub(r"\b(\d+)([a-z])\b", r"\1*\2", text)  # 2b
    text = re.sub(r"stack over channels of (\[.*\])", r"stack(\1)", text)
    tools = {name: getattr(np, name) for name in ("tanh", "clip", "exp", "abs", "arange", "rint", "where")}
    tools |= {
        "crc32": lambda seed: zlib.crc32(seed.encode()),
        "RandomState": np.random.RandomState,
        "stack": lambda planes: np.stack(np.broadcast_arrays(*planes), axis=-1),
    }
    return eval(text, {"__builtins__": {}}, tools | names)
