"""Weights without a stated checksum are pinned by their name, wherever the file comes from."""

import sys

import pytest
import torch
from PIL import Image

from piti.cards import WeightsCard
from piti.cards.base import dumps
from piti.steps.convert_weights import run


def convert(monkeypatch, folder, source, **card):
    card = WeightsCard(format="piti", path=str(source), **card)
    output = folder / "weights" / "glide" / "0123456789" / "weights.safetensors"
    line = ["step", "--card", dumps(card), "--source", str(source), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", line)
    run.main()
    return output


def test_a_file_that_has_moved_is_the_same_and_another_is_refused(monkeypatch, tmp_path, capsys):
    first, moved, other = (tmp_path / name for name in ("a.pt", "b.pt", "c.pt"))
    torch.save({"encoder.x": torch.zeros(2)}, first)
    torch.save({"encoder.x": torch.ones(2)}, other)
    convert(monkeypatch, tmp_path, first, name="weights/glide").unlink()
    first.rename(moved)
    convert(monkeypatch, tmp_path, moved, name="weights/glide").unlink()
    with pytest.raises(SystemExit):
        convert(monkeypatch, tmp_path, other, name="weights/glide")
    assert "give it another version, or: piti pins --forget weights/glide" in capsys.readouterr().err
    assert convert(monkeypatch, tmp_path, other, name="weights/glide", version="2").exists()


def test_what_cannot_be_converted_is_not_pinned(monkeypatch, tmp_path, capsys):
    wrong, right = tmp_path / "wrong", tmp_path / "right.pt"
    Image.new("RGB", (64, 64)).save(wrong, "JPEG")
    torch.save({"encoder.x": torch.ones(2)}, right)
    with pytest.raises(SystemExit):
        convert(monkeypatch, tmp_path, wrong, name="weights/glide")
    assert "found no weights that can be read safely" in capsys.readouterr().err
    assert convert(monkeypatch, tmp_path, right, name="weights/glide").exists()
