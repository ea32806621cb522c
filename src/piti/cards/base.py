"""Cards: small frozen dataclasses that say what an artefact is made of, read strictly and addressed by digest.

A field may also be one of several dataclasses, which are told apart by name: those of a *family*. Their base class has
a registry of them in `family`, each of them its `name`; as plain data the name stands beside the fields, or as the key
in a mapping of a whole family, which holds every member, with its defaults where nothing is said of it.

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
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from piti.registry import Registry, unknown_key
from piti.store.files import InputError

T = TypeVar("T")


def apart(default: Any) -> Any:
    """A field that says where a thing comes from or how it is stored: on the card, but not part of its digest."""
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
    if family_of(cls):
        cls, data = _member(cls, data, where), {key: value for key, value in data.items() if key != "name"}
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key in data:
        if key not in fields:
            raise InputError(unknown_key(key, fields, where))
    hints = get_type_hints(cls, include_extras=True)
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


def to_dict(card: Any, base: Any = None, whole: bool = True, defaults: bool = False) -> dict:
    """The card as plain data, without what equals `base` or the default: new fields with defaults move no digest.

    whole: with the fields that are `apart`. defaults: with the defaults too.
    """
    out = {"name": card.name} if family_of(type(card)) else {}
    for field in dataclasses.fields(card):
        if field.metadata.get("apart") and not whole:
            continue
        value = getattr(card, field.name)
        default = field.default if base is None else getattr(base, field.name)
        if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if defaults or value != default:
            nested = dataclasses.is_dataclass(default)
            out[field.name] = to_dict(value, default, whole, defaults) if nested else _plain(value, whole, defaults)
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


def _plain(value: Any, whole: bool, defaults: bool) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value, whole=whole, defaults=defaults)
    if isinstance(value, tuple | list):
        return [_plain(v, whole, defaults) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v, whole, defaults) for k, v in value.items()}
    return value


def family_of(kind: Any) -> Registry | None:
    """The members of the family that a type belongs to, by name; None where it belongs to none."""
    return getattr(kind, "family", None)


def _member(cls: type, data: dict, where: str) -> type:
    """The member of the family that the data name. They need not name it where `cls` is a member itself."""
    members = {name: member for name, member in cls.family.items() if issubclass(member, cls)}
    name = data.get("name", getattr(cls, "name", None))
    return members[_coerce(Annotated[str, members], name, f"{where}.name".lstrip("."))]


def choices(kind: Any) -> list | None:
    """What a field may be: a Literal's values, or the names in the registries that `Annotated[str, …]` lists.

    None for all other types, and where a section of the configuration is among them ("models"): those names are only
    known when it is whole, and `piti.config.check` looks them up.
    """
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    if get_origin(kind) is Annotated and not any(isinstance(among, str) for among in kind.__metadata__):
        return [name for among in kind.__metadata__ for name in among]
    return None


def _coerce(kind: Any, value: Any, where: str) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        if value in (None, "null") and type(None) in args:  # a word, where Snakemake has read it from its --config
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
    if (allowed := choices(kind)) is not None:
        for choice in allowed:
            if value == choice or str(value) == str(choice):
                return choice
        near = difflib.get_close_matches(str(value), map(str, allowed), n=1)
        raise InputError(
            f"{where}: found {value!r}, expected {_spell(kind)}" + (f"; nearest: {near[0]}" if near else "")
        )
    if origin is Annotated:
        return _scalar(args[0], value, where)
    if dataclasses.is_dataclass(kind):
        return value if isinstance(value, kind) else from_dict(kind, value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise InputError(f"{where}: found {value!r}, expected a list")
        return tuple(_coerce(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise InputError(f"{where}: found {value!r}, expected keys and values")
        if family := family_of(args[1]):
            if strange := [key for key in value if key not in family]:
                raise InputError(unknown_key(strange[0], family, where))
            return {name: from_dict(member, value.get(name, {}), f"{where}.{name}") for name, member in family.items()}
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
    if kind is str and isinstance(value, float):  # 1.10 is 1.1 by now
        raise InputError(f"{where}: found the number {value}, expected text: write it in quotes")
    if kind is str and isinstance(value, str | int):
        return str(value)
    raise refusal


def _spell(kind: Any) -> str:
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join("nothing" if a is type(None) else _spell(a) for a in args)
    if (allowed := choices(kind)) is not None:
        return "one of " + ", ".join(map(str, allowed))
    if origin is Annotated:
        return _spell(args[0])
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
