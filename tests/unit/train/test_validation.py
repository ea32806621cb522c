"""Trainings that are looked at on validation pairs: they end when they have converged, with the best weights."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from tests.unit.train import tiny

from piti.cards import EstimatorConfig, SamplingConfig, TrainCard, ValidationConfig
from piti.data.shards import Shards, write
from piti.networks import estimator
from piti.sample.validation import Files as Looked
from piti.sample.validation import Validation
from piti.train.batches import Files
from piti.train.row import Work, train_row
from piti.train.run import Run

WORK = Work(micro_batch=16, workers=0, compile=False, log_every=100, save_minutes=60, minutes=0)
VALIDATION = ValidationConfig(
    images="", conditions="", extractor="efficientnet_lite0", weights="", sampling=SamplingConfig(base_respacing="2")
)
CARD = replace(tiny.card(steps=24, converge_from=3), validation=VALIDATION)  # looks after 1, 2, 3, 4, 6, 8, 12, 16, 24


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> dict[str, Path]:
    return tiny.data(tmp_path_factory.mktemp("shards"), 6)


def train(
    folder: Path, shards: dict[str, Path], validate, card: TrainCard = CARD, work: Work = WORK
) -> tuple[dict, Path]:
    """What the training says of itself, and its weights."""
    output = tiny.output(folder, card)
    return train_row(card, output, Files(*tiny.inputs(card, shards)), work, lambda device: validate), output


def lines(weights: Path) -> list[dict[str, str]]:
    """The curve."""
    with open(weights.with_name("curve.csv"), newline="") as handle:
        return list(csv.DictReader(handle))


class Script:
    """Says these distances one after the other, and keeps what it was shown."""

    def __init__(self, *distances: float):
        self.left, self.shown = list(distances), []

    def __call__(self, weights: Path) -> dict[str, float]:
        self.shown.append(load_file(weights))
        return {"distance": self.left.pop(0), "mean_iou": 7.0}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


def test_it_ends_when_the_last_third_has_brought_nothing(tmp_path, shards):
    said, weights = train(tmp_path, shards, script := Script(9.0, 8.0, 6.0, 5.0, 5.5))
    assert said["converged"] and said["history"][-1]["to"] == 6
    assert [line["step"] for line in lines(weights)] == ["1", "2", "3", "4", "6"]
    assert [float(line["validation_distance"]) for line in lines(weights)] == [9, 8, 6, 5, 5.5]
    assert same(load_file(weights), script.shown[3])  # the best, not the last


def test_one_that_still_gains_has_all_its_steps_and_says_so(tmp_path, shards):
    said, _ = train(tmp_path, shards, Script(*[100 * 0.5**look for look in range(9)]))
    assert not said["converged"] and said["history"][-1]["to"] == 24


def by_weights(weights: Path) -> dict[str, float]:
    """A distance that the weights alone decide, and that goes up and down."""
    return {"distance": float(load_file(weights)["decoder.out.2.weight"].double().sum().sin())}


@pytest.mark.parametrize("shorter", [3, 6, 12])
@pytest.mark.parametrize("gain", [0, 0.5])
def test_lengthened_it_ends_in_the_bytes_of_one_that_was_as_long_from_the_first(tmp_path, shards, shorter, gain):
    card = replace(CARD, training=replace(CARD.training, converge_gain=gain))
    whole, at_once = train(tmp_path / "whole", shards, by_weights, card)
    train(tmp_path, shards, by_weights, replace(card, training=replace(card.training, steps=shorter)))
    said, weights = train(tmp_path, shards, by_weights, card)
    assert said["converged"] == whole["converged"]
    for name in ("weights.safetensors", "curve.csv"):
        assert weights.with_name(name).read_bytes() == at_once.with_name(name).read_bytes()


@pytest.mark.parametrize("killed", [1, 2, 3])
def test_killed_while_it_is_looked_at_it_ends_in_the_same_bytes(tmp_path, shards, killed):
    class Killed(BaseException):
        pass

    calls = []

    def dies(weights: Path) -> dict[str, float]:
        calls.append(weights)
        if len(calls) == killed:
            raise Killed
        return by_weights(weights)

    whole, undisturbed = train(tmp_path / "whole", shards, by_weights)
    with pytest.raises(Killed):
        train(tmp_path / "killed", shards, dies)
    said, weights = train(tmp_path / "killed", shards, by_weights)
    assert said["converged"] == whole["converged"]
    for name in ("weights.safetensors", "curve.csv"):
        assert weights.with_name(name).read_bytes() == undisturbed.with_name(name).read_bytes()


@pytest.mark.parametrize("killed", [2, 4, 5, 7])
def test_killed_between_two_looks_it_is_not_looked_at_once_more(tmp_path, shards, monkeypatch, killed):
    """Though it was saved there, at the end of a line of the curve."""
    often = WORK._replace(log_every=1, save_minutes=0)
    card = replace(CARD, training=replace(CARD.training, converge_gain=0))  # it has all its steps
    whole, undisturbed = train(tmp_path / "whole", shards, by_weights, card, often)
    advance = Run.advance

    def dies(run: Run, batch: dict) -> None:
        if run.step == killed:
            raise KeyboardInterrupt
        advance(run, batch)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "advance", dies)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "killed", shards, by_weights, card, often)
    said, weights = train(tmp_path / "killed", shards, by_weights, card, often)
    assert said["converged"] == whole["converged"]
    for name in ("weights.safetensors", "curve.csv"):
        assert weights.with_name(name).read_bytes() == undisturbed.with_name(name).read_bytes()


@pytest.fixture(scope="module")
def looked(tmp_path_factory, shards) -> Looked:
    """Random weights of an extractor and of an estimator; the training pairs stand for validation pairs."""
    folder = tmp_path_factory.mktemp("networks")
    torch.manual_seed(0)
    save_file(timm.create_model("tf_efficientnet_lite0").state_dict(), folder / "extractor.safetensors")
    save_file(estimator.build(ESTIMATOR).state_dict(), folder / "estimator.safetensors")
    return Looked(shards["small"], shards["mask"], folder / "extractor.safetensors", folder / "estimator.safetensors")


ESTIMATOR = EstimatorConfig(architecture="small_unet", width=8, out_channels=18)


def test_pictures_are_drawn_and_compared_with_the_real_ones(tmp_path, shards, looked):
    weights = tiny.train(tmp_path, tiny.card(steps=1), shards)
    card = replace(CARD, validation=replace(VALIDATION, estimator=ESTIMATOR))
    look = Validation(card, looked, 4, torch.device("cpu"))
    found, pictures = look(weights), look.draw(weights)
    assert found.keys() == {"distance", "mean_iou"} and found["distance"] > 1
    assert pictures.shape == (6, tiny.BASE_SIDE, tiny.BASE_SIDE, 3) and pictures.dtype == np.uint8
    ids = Shards(looked.conditions).ids
    own = write(
        tmp_path / "own", "images", ids, lambda wanted: pictures[[ids.index(i) for i in wanted]], 5, tiny.BASE_SIDE
    )
    nothing = Validation(card, looked._replace(images=own), 4, torch.device("cpu"))(weights)
    assert nothing["distance"] == pytest.approx(0, abs=1e-3)
