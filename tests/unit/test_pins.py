"""Pins of downloads, and of weights with a path: both are listed, and either can be forgotten."""

from pathlib import Path

import pytest
from tests.unit.test_cli import piti  # noqa: F401 (a fixture)

from piti.store.files import file_digest, read_json, write_json


def pinned(file: Path, pins: str, name: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"the file of {name}")
    pin = {"digest": f"sha256:{file_digest(file)}", "bytes": file.stat().st_size, "pinned": "2026-01-01", "from": "x"}
    write_json(pins, {name: pin})


def test_pins_are_listed_and_forgotten_wherever_they_are(piti, capsys):  # noqa: F811
    Path("config/config.yaml").write_text("downloads: files\nresults: made\n")
    came, own = Path("files/coco/0123456789/val2017.zip"), Path("elsewhere/base.pt")
    pinned(came, "files/pins.json", "coco/val2017.zip")
    pinned(own, "made/weights/pins.json", "weights/glide_base")
    assert [line.split()[0] for line in piti("pins").splitlines()] == ["coco/val2017.zip", "weights/glide_base"]
    assert "forgot coco/val2017.zip" in piti("pins", "--forget", "coco/val2017.zip")
    assert not came.exists() and not read_json("files/pins.json")
    assert piti("pins", "--forget", "weights/glide_base") == "forgot weights/glide_base\n"
    assert own.exists() and not read_json("made/weights/pins.json")
    with pytest.raises(SystemExit):
        piti("pins", "--forget", "nothing")
    assert "unknown name 'nothing'" in capsys.readouterr().err
