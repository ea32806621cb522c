"""A prior that draws its scenes, and the EMA weights that a training keeps on its way."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.unit.train import tiny

from piti.cards import SyntheticConfig, TrainCard
from piti.networks.weights import read, strip_text
from piti.steps.train import run
from piti.store.files import InputError

DRAWN = SyntheticConfig(seed=5, resolution=32, style="middle")


def card(kind: str, **training) -> TrainCard:
    return replace(tiny.card(kind, **training), synthetic=DRAWN)


def kept_on_the_way(folder: Path) -> dict[int, dict[str, torch.Tensor]]:
    return {int(path.stem): read(path) for path in folder.glob("checkpoint-*/ema/*.safetensors")}


@pytest.mark.parametrize("kind", ["prior_base", "prior_upsampler"])
def test_it_goes_on_where_it_was_stopped(tmp_path, kind):
    whole = read(tiny.train(tmp_path / "whole", card(kind, steps=6), {}))
    tiny.train(tmp_path / "parts", card(kind, steps=4), {})
    parts = read(tiny.train(tmp_path / "parts", card(kind, steps=6), {}))
    assert all(torch.equal(parts[name], tensor) for name, tensor in whole.items())


def test_ema_weights_are_kept_whole_as_often_as_asked(tmp_path):
    weights = read(tiny.train(tmp_path, card("prior_base", steps=6), {}, keep_every=3))
    kept = kept_on_the_way(tmp_path)
    assert kept.keys() == {3, 6}
    exported = strip_text(kept[6], "the last ones")  # which asks for the text part
    assert exported.keys() == weights.keys()
    assert all(torch.equal(exported[name], tensor) for name, tensor in weights.items())
    assert any(not torch.equal(kept[3][name], tensor) for name, tensor in kept[6].items())


def test_keeping_ema_weights_changes_nothing(tmp_path):
    one, other = (
        read(tiny.train(tmp_path / str(every), card("prior_base", steps=4), {}, keep_every=every)) for every in (0, 1)
    )
    assert kept_on_the_way(tmp_path / "0") == {}
    assert all(torch.equal(one[name], tensor) for name, tensor in other.items())


def test_a_card_that_names_shards_is_not_trained_without_them(tmp_path):
    with pytest.raises(InputError, match="--images and --conditions: found none"):
        run(tiny.card("prior_base"), tmp_path / "weights.safetensors")
