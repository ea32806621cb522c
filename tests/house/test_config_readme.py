"""config/README.md explains every key, and none that is gone."""

import dataclasses
import re
from typing import Any, Literal, get_args, get_origin, get_type_hints

from piti.cards.base import family_of
from piti.config import Config
from tests.house import ROOT


def sections() -> dict[str, set[str]]:
    """Path of each section that the headings name ("models.<name>") -> the keys in its table."""
    found = {}
    for text in re.split(r"^## ", (ROOT / "config" / "README.md").read_text(), flags=re.M)[1:]:
        heading, body = text.split("\n", 1)
        for path in re.findall(r"`([^`]+)`", heading) or [""]:
            found[path] = set(re.findall(r"^\| `(\w+)` \|", body, re.M))
    return found


def keys(kind: Any, path: str = "") -> dict[str, set[str]]:
    """The same from the dataclasses: path of each -> its fields."""
    if dataclasses.is_dataclass(kind):
        found = {path: {field.name for field in dataclasses.fields(kind)}}
        hints = get_type_hints(kind)
        for name in found[path]:
            found |= keys(hints[name], f"{path}.{name}".lstrip("."))
        return found
    if get_origin(kind) is Literal:
        return {}
    if get_origin(kind) is dict and (family := family_of(get_args(kind)[1])):
        return {
            place: fields for name, member in family.items() for place, fields in keys(member, f"{path}.{name}").items()
        }
    arms = get_args(kind)[1:] if get_origin(kind) is dict else get_args(kind)
    below = f"{path}.<name>" if get_origin(kind) is dict else path
    return {place: fields for arm in arms for place, fields in keys(arm, below).items()}


def test_readme_explains_every_key_and_none_that_is_gone():
    written, real = sections(), keys(Config)
    assert written.keys() == real.keys()
    for path, fields in real.items():
        assert written[path] == fields, path
