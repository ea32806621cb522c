"""The editors' schema of config/*.yaml, out of the dataclasses that check them; `python -m piti.config.schema`."""

import dataclasses
import inspect
import re
import types
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from piti.cards.base import choices, family_of
from piti.config import Config
from piti.store.files import write_json

FILE = Path(__file__).parents[3] / "config" / "schemas" / "config.schema.json"
SCALARS = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}


def schema() -> dict:
    """JSON Schema of one configuration file. No key is required, because each file is one layer of several."""
    definitions = {}
    whole = _reference(Config, definitions)
    definitions["Config"]["properties"]["like"] = {
        "type": "string",
        "description": "of a preset: another one, below it",
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole, "$defs": definitions}


def _reference(cls: type, definitions: dict) -> dict:
    """A reference to the definition of a dataclass, which is added where it is missing."""
    if cls.__name__ not in definitions:
        definitions[cls.__name__] = definition = {"description": inspect.getdoc(cls), "type": "object"}
        hints, comments = get_type_hints(cls, include_extras=True), _comments(cls)
        definition["properties"] = {
            field.name: _kind(hints[field.name], definitions)
            | ({"description": comments[field.name]} if field.name in comments else {})
            | ({"default": field.default} if type(field.default) in SCALARS else {})
            for field in dataclasses.fields(cls)
        }
        definition["additionalProperties"] = False
    return {"$ref": f"#/$defs/{cls.__name__}"}


def _kind(kind: Any, definitions: dict) -> dict:
    """The schema of one field's type."""
    origin, args = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _reference(kind, definitions)
    if (allowed := choices(kind)) is not None:
        return {"enum": allowed}
    if origin is Annotated:
        return _kind(args[0], definitions)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_kind(arm, definitions) for arm in args]}
    if origin is tuple:
        return {"type": "array", "items": _kind(args[0], definitions)}
    if origin is dict and (family := family_of(args[1])):
        members = {name: _reference(member, definitions) for name, member in family.items()}
        return {"type": "object", "properties": members, "additionalProperties": False}
    if origin is dict:
        return {"type": "object", "additionalProperties": _kind(args[1], definitions)}
    return {"type": SCALARS[kind]}


def _comments(cls: type) -> dict[str, str]:
    """The comments behind the fields of a dataclass and of those it inherits from."""
    bases = [base for base in reversed(cls.__mro__) if dataclasses.is_dataclass(base)]
    return {k: v for base in bases for k, v in re.findall(r"^    (\w+): .*?  # (.+)$", inspect.getsource(base), re.M)}


if __name__ == "__main__":
    write_json(FILE, schema())
