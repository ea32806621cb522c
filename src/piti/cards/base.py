"""Cards: small frozen dataclasses that say what an artefact is made of, read strictly and addressed by digest.

Nothing here knows what the cards are for (see `piti.cards`); no import is heavier than the standard library, so that
the Snakefile may use it.
"""

import dataclasses
import difflib
import hashlib
import json
import math
import types
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from piti.registry import unknown_key
from piti.store.files import InputError

T = TypeVar("T")


def apart(default: Any) -> Any:
    """A field that says from where or how, never what: it travels with the card, and stands in no digest."""
    return dataclasses.field(default=default, metadata={"apart": True})


def from_dict(cls: type[T], data: Any, where: str = "", base: T | None = None) -> T:
    """Build the dataclass `cls` from plain data, refusing unknown keys, missing keys and wrong types by name.

    What the data leave out comes from `base`, else from the defaults: half a mapping changes half of a default part.

    Strings are coerced to the field's type where that is unambiguous ("4" for an int), because values given on a
    command line, and nested values handed on to cluster jobs, arrive as strings.

    Raises InputError naming the key, the value found and what was expected.
    """
    if not isinstance(data, dict):
        raise InputError(f"{where or cls.__name__}: expected keys and values, found {data!r}")
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key in data:
        if key not in fields:
            raise InputError(unknown_key(key, fields, where))
    hints = get_type_hints(cls)
    values = {}
    for name, field in fields.items():
        path = f"{where}.{name}" if where else name
        default = field.default if base is None else getattr(base, name)
        if name in data and dataclasses.is_dataclass(default):
            values[name] = from_dict(type(default), data[name], path, default)
        elif name in data:
            values[name] = _coerce(hints[name], data[name], path)
        elif base is not None:
            values[name] = default
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InputError(f"{path}: missing (expected {_spell(hints[name])})")
    try:
        return cls(**values)
    except ValueError as error:
        raise InputError(f"{where or cls.__name__}: {error}") from None


def check_range(card: Any, **bounds: tuple[float, float]) -> None:
    """Raise ValueError where a number of the card is outside its bounds, both included."""
    for key, (low, high) in bounds.items():
        found = getattr(card, key)
        if found is not None and not low <= found <= high:
            upper = f" to {high:g}" if math.isfinite(high) else " or more"
            raise ValueError(f"{key}: found {found}, expected {low:g}{upper}")


def to_dict(card: Any, base: Any = None, whole: bool = True) -> dict:
    """The card as plain data, without what equals `base` or the default: a new field with a default moves no digest.

    whole: with the fields that are `apart`.
    """
    out = {}
    for field in dataclasses.fields(card):
        if field.metadata.get("apart") and not whole:
            continue
        value = getattr(card, field.name)
        default = field.default if base is None else getattr(base, field.name)
        if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if value != default:
            nested = dataclasses.is_dataclass(default)
            out[field.name] = to_dict(value, default, whole) if nested else _plain(value, whole)
    return out


def digest(card: Any) -> str:
    """Ten hexadecimal characters of SHA-256 over the card's type and canonical JSON of what it declares.

    That is all but what is `apart`; a card may also leave out what follows from the rest, by `declared()`.
    """
    said = card.declared() if hasattr(card, "declared") else card
    text = type(card).__name__ + json.dumps(to_dict(said, whole=False), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def dumps(card: Any) -> str:
    """The card as one line of JSON, as it travels on a command line."""
    return json.dumps(to_dict(card), sort_keys=True, separators=(",", ":"))


def _plain(value: Any, whole: bool) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value, whole=whole)
    if isinstance(value, tuple | list):
        return [_plain(v, whole) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v, whole) for k, v in value.items()}
    return value


def _coerce(kind: Any, value: Any, where: str) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        # a number type before str, else every number would do as a string
        for arm in sorted((a for a in args if a is not type(None)), key=lambda a: a is str):
            try:
                return _coerce(arm, value, where)
            except InputError as error:
                refusal = error
        if len(args) - (type(None) in args) == 1:
            raise refusal
        raise InputError(f"{where}: found {value!r}, expected {_spell(kind)}")
    if origin is Literal:
        for allowed in args:
            if value == allowed or str(value) == str(allowed):
                return allowed
        near = difflib.get_close_matches(str(value), [str(a) for a in args], n=1)
        raise InputError(
            f"{where}: found {value!r}, expected one of {', '.join(map(str, args))}"
            + (f"; nearest: {near[0]}" if near else "")
        )
    if dataclasses.is_dataclass(kind):
        return value if isinstance(value, kind) else from_dict(kind, value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise InputError(f"{where}: found {value!r}, expected a list")
        return tuple(_coerce(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise InputError(f"{where}: found {value!r}, expected keys and values")
        return {_coerce(args[0], k, where): _coerce(args[1], v, f"{where}.{k}") for k, v in value.items()}
    return _scalar(kind, value, where)


def _scalar(kind: type, value: Any, where: str) -> Any:
    refusal = InputError(f"{where}: found {value!r}, expected {_spell(kind)}")
    if kind is bool:
        word = str(value).lower()
        if word in ("true", "false"):
            return word == "true"
        raise refusal
    if isinstance(value, bool):
        raise refusal
    try:
        if kind is int:
            if isinstance(value, str):
                value = int(value) if value.lstrip("+-").isdecimal() else float(value)  # "1e3" too
            number = int(value)
            if number != value:
                raise refusal
            return number
        if kind is float and math.isfinite(number := float(value)):  # also "1e-4", which YAML 1.1 reads as a string
            return number
    except (TypeError, ValueError, OverflowError):
        raise refusal from None
    if kind is str and isinstance(value, str | int | float):
        return str(value)
    raise refusal


def _spell(kind: Any) -> str:
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join("nothing" if a is type(None) else _spell(a) for a in args)
    if origin is Literal:
        return "one of " + ", ".join(map(str, args))
    if origin is tuple:
        return f"a list of {_spell(args[0])}"
    if origin is dict:
        return "keys and values"
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false"}.get(
        kind, getattr(kind, "__name__", str(kind))
    )


@dataclass(frozen=True, kw_only=True)
class Card:
    """What every card has."""

    code: str = ""  # digest of the step's code, where the preset makes that part of an artefact's identity
