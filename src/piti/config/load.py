"""The one place where the layers of a configuration are merged.

datasets, weights, models, experiments, jobs < preset < config.yaml < --configfile < --config. What an entry is `like`
is looked up when all are merged: so it has what a preset or the user says of the other.
"""

import copy
import dataclasses
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from piti.cards.base import from_dict
from piti.config.check import check_names
from piti.config.model import Asked, Config, Entry
from piti.registry import load_plugins, unknown_key
from piti.store.files import InputError

MOST_VALUES = 100_000  # of one file; all that ships is two thousand
SECTIONS = [
    key
    for key, kind in get_type_hints(Config).items()
    if get_origin(kind) is dict and Entry in getattr(get_args(kind)[1], "__mro__", ())
]  # whose entries may be like each other
PARTS = ("datasets.yaml", "weights.yaml", "models.yaml", "experiments.yaml", "jobs.yaml")


def read_yaml(path: Path) -> dict:
    """Read one YAML file of keys and values, safely. Raises InputError naming the file."""
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text in UTF-8 ({error.reason} at byte {error.start})") from None
    if not isinstance(data or {}, dict):
        raise InputError(f"{path}: found {type(data).__name__}, expected keys and values")
    return data or {}


def parse_yaml(text: str, where: str) -> Any:
    """YAML, safely. Raises InputError in one line."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if _expanded(node, {}) > MOST_VALUES:
            raise InputError(f"{where}: found more than {MOST_VALUES} values when its aliases are followed")
        if node and (twice := next(_repeated(node), None)):
            raise InputError(f"{where}: {twice}")
        return node and loader.construct_document(node)
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{where}: not YAML ({' '.join(str(error).split())})") from None


def _expanded(node: yaml.Node | None, known: dict[int, float]) -> float:
    """How many values a node stands for when every alias is followed: a few lines may stand for billions."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = math.inf  # until it is known: a node that holds itself has no end
        pairs = isinstance(node, yaml.MappingNode)
        below = [part for pair in node.value for part in pair] if pairs else node.value
        known[id(node)] = 1 + sum(_expanded(part, known) for part in below)
    return known[id(node)]


def _repeated(node: yaml.Node) -> Iterator[str]:
    """Keys that a mapping has twice: YAML forgets what the first of them says."""
    if isinstance(node, yaml.MappingNode):
        lines = {}
        for key, value in node.value:
            if (name := key.value if isinstance(key, yaml.ScalarNode) else None) in lines:
                line = key.start_mark.line + 1
                yield f"line {line}: key {name!r}: found it in line {lines[name]} too, expected it once"
            lines |= {name: key.start_mark.line + 1} if name is not None else {}
            yield from _repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _repeated(value)


def configured(user: dict[str, Any], file: Path | None = None) -> Config:
    """The configuration where one works, as Snakemake has it: config.yaml < --configfile < these keys."""
    folder = Path("config")
    return load(merge(merge(read_yaml(folder / "config.yaml"), read_yaml(file) if file else {}), user), folder)


def load(user: dict[str, Any], folder: Path) -> Config:
    """Merge the layers below `folder` with the user's own keys (config.yaml, --configfile, --config) and check them.

    Nested values may arrive as strings of YAML, which is how Snakemake hands --config on to cluster jobs.
    """
    if (found := sys.getfilesystemencoding()) != "utf-8":
        raise InputError(f"locale: found {found} for text and for names of files, expected UTF-8: export PYTHONUTF8=1")
    known = get_type_hints(Config)
    for key, value in user.items():
        if key not in known:
            raise InputError(unknown_key(key, known, "config"))
        if isinstance(value, str) and known[key] is not str:
            user = user | {key: parse_yaml(value, key)}
    merged: dict[str, Any] = {}
    for part in PARTS:
        merged = merge(merged, read_yaml(folder / part))
    merged = merge(merged, read_preset(folder / "presets", user.get("preset", "paper"), "preset"))
    merged = merge(merged, user)
    if "results" in user and "downloads" not in merged:
        merged["downloads"] = f"{user['results']}/downloads"
    load_plugins(from_dict(Config, {key: merged[key] for key in ("plugins",) if key in merged}).plugins)
    config = from_dict(Config, _with_sampling(_with_precision(_with_likes(merged))))
    check_names(config)
    # with a word for every row, so that the names of trainings tell one row from another where nothing else is known
    every = {row: config.jobs.models.get(row, Asked()) for row in config.models}
    folders = {key: str(Path(getattr(config, key))) for key in ("results", "downloads")}  # Snakemake compares as text
    return dataclasses.replace(config, jobs=dataclasses.replace(config.jobs, models=every), **folders)


def read_preset(folder: Path, name: str, key: str) -> dict:
    """A preset's keys, above those of the one that it is `like`."""
    if name not in (presets := sorted(path.stem for path in folder.glob("*.yaml"))):
        raise InputError(f"{key}: found {name!r}, expected one of {', '.join(presets)}")
    own = read_yaml(folder / f"{name}.yaml")
    other = own.pop("like", None)
    return merge(read_preset(folder, other, f"{name}.yaml: like"), own) if other else own


def merge(below: dict, above: dict) -> dict:
    """Deep merge: mappings are joined, everything else is replaced by the upper layer."""
    out = copy.copy(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merge(out[key], value) if both else copy.deepcopy(value)
    return out


def _with_likes(merged: dict) -> dict:
    """Every entry with the keys of the one that it is `like`, where it has none of its own; `like` is removed."""
    sections = {key: rows for key in SECTIONS if isinstance(rows := merged.get(key), dict)}
    return merged | {key: {name: _whole(key, rows, name) for name in rows} for key, rows in sections.items()}


def _whole(section: str, entries: dict, name: str, after: tuple[str, ...] = ()) -> Any:
    """An entry with the keys of all that it is like, along the chain that has led to it."""
    entry = entries[name]
    if not isinstance(entry, dict) or not entry.get("like"):
        return entry  # what is no mapping is refused by name in a moment
    other, chain = str(entry["like"]), (*after, name)
    if other not in entries:
        raise InputError(unknown_key(other, entries, f"{section}.{name}.like"))
    if other in chain:
        raise InputError(f"{section}.{name}.like: found a circle ({' <- '.join([*chain, other])})")
    own = {key: value for key, value in entry.items() if key != "like"}
    below = _whole(section, entries, other, chain)
    return merge(below, own) if isinstance(below, dict) else own


def _with_precision(merged: dict) -> dict:
    """Every row of models, and sampling, with a precision: its own, or the key's."""
    common = {"precision": merged.get("precision", Config.precision)}
    models, sampling = merged.get("models", {}), merged.get("sampling", {})
    if not isinstance(models, dict) or not all(isinstance(part, dict) for part in (sampling, *models.values())):
        return merged  # refused by name in a moment
    return merged | {"models": {name: common | row for name, row in models.items()}, "sampling": common | sampling}


def _with_sampling(merged: dict) -> dict:
    """Every method with the whole of its sampling: its own keys above those of `sampling`."""
    methods = merged.get("methods", {})
    if not isinstance(methods, dict) or not all(isinstance(method, dict) for method in methods.values()):
        return merged  # refused by name in a moment
    common = {"sampling": merged.get("sampling", {})}
    return merged | {"methods": {name: merge(common, method) for name, method in methods.items()}}
