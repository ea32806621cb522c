"""The editors' schema follows the dataclasses, and accepts what ships."""

import json

import jsonschema
import pytest
import yaml

from piti.config.schema import FILE, schema
from tests.house import ROOT

SCHEMA = schema()
SHIPPED = sorted([*(ROOT / "config").glob("*.yaml"), *(ROOT / "config" / "presets").glob("*.yaml")])


def test_schema_is_up_to_date():
    assert json.loads(FILE.read_text()) == SCHEMA, "run `python -m piti.config.schema`"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_schema_accepts_what_ships(path):
    jsonschema.validate(yaml.safe_load(path.read_text()), SCHEMA)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_editors_find_the_schema(path):
    line = path.read_text().splitlines()[0]
    start, _, link = line.partition("$schema=")
    assert start == "# yaml-language-server: "
    assert (path.parent / link).resolve() == FILE


@pytest.mark.parametrize(
    "data",
    [
        {"presett": "smoke"},
        {"models": {"stage1": {"setps": 3}}},
        {"models": {"stage1": {"steps": "many"}}},
        {"models": {"stage1": {"kind": "bass"}}},
        {"networks": {"base": {"channel_mult": 2}}},
    ],
)
def test_schema_refuses(data):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, SCHEMA)


def test_hovering_shows_the_comment():
    definitions = SCHEMA["$defs"]
    assert definitions["Machine"]["properties"]["compile"]["description"] == "torch.compile"
    assert all(definition["description"] for definition in definitions.values())
