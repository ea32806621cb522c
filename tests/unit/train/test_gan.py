"""The baselines through the one loop: resumed bit for bit, averaged, and ended with a record when they collapse."""

import signal
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from tests.unit.train import tiny

from piti.baselines import build
from piti.cards import TrainCard, TrainingConfig
from piti.cards.baselines import OASISConfig, Pix2PixHDConfig, SPADEConfig
from piti.networks.weights import load
from piti.scenes import CLASSES
from piti.store.files import failure
from piti.train import gan
from piti.train.gan import GANObjective
from piti.train.loop import Stopped
from piti.train.run import Run

CHANNELS = len(CLASSES) + 1
GANS = {
    "pix2pixhd": Pix2PixHDConfig(CHANNELS, 32, ngf=4, n_downsampling=2, n_blocks=1, ndf=4, lambda_vgg=0, decay=0.5),
    "spade": SPADEConfig(CHANNELS, 32, ngf=2, nhidden=4, ndf=4, lambda_vgg=0),
    "oasis": OASISConfig(CHANNELS, 64, channels_G=2, nhidden=4, channels_D=4, z_dim=4),
}
STEPS = 6


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Scenes at 72 px, which OASIS's 64 px are cut from (the others: 32)."""
    from piti import scenes
    from piti.data.shards import write

    folder, count, resolution = tmp_path_factory.mktemp("pairs"), 6, 72
    drawn, ids = scenes.render(5, list(range(count)), resolution), [f"scene-{i}" for i in range(count)]
    stored = {"images": drawn.image, "mask": drawn.classes + 1}
    return {
        kind: write(folder / kind, kind, ids, lambda w, a=array: a[[ids.index(i) for i in w]], 4, resolution)
        for kind, array in stored.items()
    }


def card(kind: str, **training) -> TrainCard:
    training = {"batch": 2, "steps": STEPS, "ema_rate": 0.5 if kind == "oasis" else 0.0} | training
    return TrainCard(
        training=TrainingConfig(kind=kind, **training),
        seed=3,
        images="",
        condition="mask",
        conditions="",
        image_resolution=GANS[kind].resolution,
        base_resolution=16,
        baseline=GANS[kind],
        num_classes=CHANNELS,
    )


def train(folder, card, pairs):
    return tiny.train(folder, card, {"small": pairs["images"], "mask": pairs["mask"]}, log_every=2)


@pytest.mark.parametrize("kind", GANS)
def test_stopped_and_resumed_is_undisturbed(kind, pairs, tmp_path, monkeypatch):
    whole, advance = train(tmp_path / "whole", card(kind), pairs), Run.advance
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Run, "advance", lambda run, b: (signal.raise_signal(signal.SIGTERM), advance(run, b)))
        train(tmp_path / "parts", card(kind), pairs)
    parts = train(tmp_path / "parts", card(kind), pairs)
    assert whole.read_bytes() == parts.read_bytes()
    curve = whole.with_name("curve.csv").read_text()
    assert curve == parts.with_name("curve.csv").read_text()
    assert "generator_gan" in curve and "discriminator_real" in curve and len(curve.splitlines()) == 1 + STEPS // 2


@pytest.mark.parametrize("before", [0, 4])
def test_draws_go_on_along_a_chain_of_trainings(pairs, tmp_path, monkeypatch, before):
    """One that begins with another's weights does not draw that one's noise again."""
    keys, drawn = [], gan.generator
    monkeypatch.setattr(gan, "generator", lambda *key: keys.append(key) or drawn(*key))
    train(tmp_path, replace(card("oasis", steps=2), steps_before=before), pairs)
    assert [key for key in keys if key[1] == "gan"] == [(3, "gan", before), (3, "gan", before + 1)]


def test_a_gan_is_extended_where_its_learning_rates_do_not_fall(pairs, tmp_path):
    def trained(folder, kind, steps):
        return train(tmp_path / folder, card(kind, steps=steps), pairs)

    trained("extended", "spade", 4)
    assert trained("extended", "spade", STEPS).read_bytes() == trained("at once", "spade", STEPS).read_bytes()
    assert len(list((tmp_path / "extended").glob("checkpoint-*"))) == 1
    trained("falling", "pix2pixhd", 4), trained("falling", "pix2pixhd", STEPS)
    assert len(list((tmp_path / "falling").glob("checkpoint-*"))) == 2
    declared = [replace(card("spade", steps=steps), epochs=steps) for steps in (4, STEPS)]
    assert len({one.identity for one in declared}) == 2


@pytest.mark.parametrize("kind", GANS)
def test_exports_a_generator_that_loads_strictly_and_has_learned(kind, pairs, tmp_path):
    weights = load_file(train(tmp_path, card(kind), pairs))
    generator = build(card(kind).baseline).generator
    load(generator, weights, "exported")
    untrained = load_file(train(tmp_path, replace(card(kind, steps=1), seed=4), pairs))
    assert any(not torch.equal(weights[name], untrained[name]) for name in weights)


def test_the_average_gets_batch_statistics_of_its_own(pairs, tmp_path):
    """With the statistics of the live weights, an average of 0.5 would normalise by the wrong numbers."""
    averaged = load_file(train(tmp_path, card("oasis"), pairs))
    live = load_file(train(tmp_path / "live", card("oasis", ema_rate=0.0), pairs))
    mean = next(name for name in averaged if name.endswith("running_mean"))
    assert not torch.equal(averaged[mean], live[mean])


@pytest.mark.parametrize("save_minutes", [0, 60])
def test_when_it_is_saved_does_not_decide_whether_a_training_has_collapsed(pairs, tmp_path, monkeypatch, save_minutes):
    """Zero gradients at the first five steps of a line of eight are none."""
    losses, calls = GANObjective._discriminator_losses, []

    def silent_at_first(self, part):
        calls.append(part)
        return {key: (len(calls) > 5) * value for key, value in losses(self, part).items()}

    monkeypatch.setattr(GANObjective, "_discriminator_losses", silent_at_first)
    shards = {"small": pairs["images"], "mask": pairs["mask"]}
    path = tiny.train(tmp_path, card("spade", steps=8), shards, log_every=8, save_minutes=save_minutes)
    assert len(calls) == 8 and failure(path) is None


def test_a_dead_discriminator_ends_the_training_with_a_record(pairs, tmp_path, monkeypatch):
    """Gradients of exactly zero for a whole line of the curve are a collapse."""
    losses = GANObjective._discriminator_losses
    monkeypatch.setattr(
        GANObjective, "_discriminator_losses", lambda self, part: {k: 0 * v for k, v in losses(self, part).items()}
    )
    path = tiny.train(
        tmp_path,
        card("spade", steps=10),
        {"small": pairs["images"], "mask": pairs["mask"]},
        log_every=5,
    )
    assert failure(path).startswith("diverged: discriminator_gradient is exactly zero at the 5 steps up to 5")
    assert failure(path.with_name("curve.csv"))
