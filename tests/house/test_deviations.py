"""DEVIATIONS.md cannot rot: its keys have the values it gives and take the others, its files and names exist."""

import ast
import re
from functools import cache
from itertools import zip_longest
from pathlib import Path

import pytest
import yaml

from piti.config import Config, load, merge
from tests.house import ROOT

TEXT = (ROOT / "DEVIATIONS.md").read_text()
KEY = re.compile(
    rf"`(?![\w/]+\.py)((?:{'|'.join(Config.__dataclass_fields__)})[\w.%]*): ([^`]+)`(?: \(((?:`[^`]+`(?:, )?)+)\))?"
)
PLACE = re.compile(r"`((?:\w+/)*\w+\.(?:py|yaml))(?:: ([\w.]+))?`")

PLACES = sorted(set(PLACE.findall(TEXT)))
STATED = [(key, yaml.safe_load(value)) for key, value, _ in KEY.findall(TEXT)]
OTHERS: dict[str, list] = {}  # key -> the other values that it takes
for key, _, others in KEY.findall(TEXT):
    OTHERS.setdefault(key, []).extend(yaml.safe_load(other) for other in re.findall(r"`([^`]+)`", others))


def value(config: Config, key: str):
    """What stands at a dotted key; tuples as lists, as in YAML."""
    found = config
    for part in key.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    return list(found) if isinstance(found, tuple) else found


def test_keys_have_the_values_stated():
    config = load({"preset": "paper"}, ROOT / "config")
    assert {key: value(config, key) for key, _ in STATED} == dict(STATED)


@pytest.mark.parametrize("chosen", zip_longest(*([(k, v) for v in vs] for k, vs in OTHERS.items() if vs)))
def test_keys_take_the_other_values(chosen):
    user = {}
    for key, other in filter(None, chosen):
        for part in reversed(key.split(".")):
            other = {part: other}
        user = merge(user, other)
    config = load(user, ROOT / "config")
    assert [value(config, key) for key, _ in filter(None, chosen)] == [other for _, other in filter(None, chosen)]


@pytest.mark.parametrize(("file", "name"), PLACES)
def test_places_exist(file, name):
    path = ROOT / file if file.startswith("tests/") or file.endswith(".yaml") else ROOT / "src/piti" / file
    assert path.is_file()
    assert not name or name in defined(path)


@cache
def defined(path: Path) -> set[str]:
    """Functions, classes and variables at the top of a module, and the methods of its classes as Class.method."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", ())
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{member.name}" for member in node.body if isinstance(member, ast.FunctionDef)}
    return names


def test_every_row_says_where_and_by_which_key():
    head = []
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            head = []
        elif not head:
            head = cells
        elif set(line) != set("|-"):
            row = dict(zip(head, cells, strict=True))
            assert PLACE.search(row.get("Where", "`x.py`")), line
            assert row.get("Key") in (None, "none") or KEY.match(row["Key"]), line


def test_every_assumption_of_the_models_is_listed():
    listed = {key for key, _ in STATED}
    row = None
    for line in (ROOT / "config/models.yaml").read_text().splitlines():
        if found := re.match(r"  (\w+):", line):
            row = f"models.{found[1]}"
        key = re.match(r"    (\w+):", line)
        if "*assumed*" in line and not line.lstrip().startswith("#"):
            where = f"{row}.{key[1]}" if key else row
            assert any(name == where or name.startswith(f"{where}.") for name in listed), where
