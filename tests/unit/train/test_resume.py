"""Stopping anywhere costs nothing: k + stop + k steps are 2k steps, bit for bit."""

import json
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.unit.train import tiny

from piti.networks.unet import UNet
from piti.store import checkpoint
from piti.store.files import InputError
from piti.store.provenance import code_digest
from piti.train.loop import Stopped
from piti.train.run import Run

CARDS = {
    "stage 1": tiny.card(trainable="encoder", steps=8, timestep_sampler="loss_second_moment", diffusion_steps=2),
    "all, conditions dropped": tiny.card(steps=8, condition_dropout=0.3),
    "prior": tiny.card("prior_base", steps=8, condition_dropout=0.3),
    "upsampler": tiny.card(
        "upsampler",
        steps=8,
        batch=2,
        noise_schedule="linear",
        degradation=True,
        perceptual="conv2_2",
        adversarial="wgan_gp",
        discriminator_width=8,
        image_losses_from=1,
    ),
}


def stop_during(monkeypatch, step):
    """SIGTERM comes during that step."""
    advance = Run.advance

    def advance_and_stop(run, batch):
        if run.step == step:
            signal.raise_signal(signal.SIGTERM)
        advance(run, batch)

    monkeypatch.setattr(Run, "advance", advance_and_stop)


def saved_checkpoint(folder):
    """Every tensor of the one checkpoint below `folder`, its step and its curve."""
    (path,) = folder.glob("checkpoint-*/checkpoint.safetensors")
    groups, about = checkpoint.load(path)
    return groups, {key: about[key] for key in ("step", "counts", "curve")}


def assert_same_training(a: Path, b: Path):
    """The same weights and curve, byte for byte, and the same checkpoint but for its history."""
    assert a.with_name("curve.csv").read_text() == b.with_name("curve.csv").read_text()
    assert a.read_bytes() == b.read_bytes()
    (groups, about), (other_groups, other_about) = saved_checkpoint(a.parents[1]), saved_checkpoint(b.parents[1])
    assert about == other_about
    assert {k: v.keys() for k, v in groups.items()} == {k: v.keys() for k, v in other_groups.items()}
    for group, tensors in groups.items():
        for name, tensor in tensors.items():
            assert torch.equal(tensor, other_groups[group][name]), f"{group}: {name}"


@pytest.mark.parametrize("name", CARDS)
def test_stopped_and_resumed_is_undisturbed(name, shards, tmp_path, monkeypatch):
    card, init = CARDS[name], None
    if card.training.trainable == "encoder":  # a new decoder is zero at its end: nothing reaches the encoder
        init = tmp_path / "init.safetensors"
        save_file(tiny.stirred(UNet(tiny.UNET)), init)
    whole = tiny.train(tmp_path / "whole", card, shards, init, log_every=3)
    for step in (1, 4):  # before the curve's first line, and in the middle of its second
        with monkeypatch.context() as patch, pytest.raises(Stopped) as stopped:
            stop_during(patch, step)
            tiny.train(tmp_path / "parts", card, shards, init, log_every=3)
        assert stopped.value.code == 75
        assert saved_checkpoint(tmp_path / "parts")[1]["step"] == step + 1
    assert not tiny.output(tmp_path / "parts", card).exists()
    assert_same_training(whole, tiny.train(tmp_path / "parts", card, shards, init, log_every=3))


def test_what_the_checkpoint_holds(shards, tmp_path):
    """All that the next step depends on; the upsampler's run has everything there is."""
    tiny.train(tmp_path, replace(CARDS["upsampler"], seed=2), shards)
    groups, about = saved_checkpoint(tmp_path)
    assert {
        "ema",
        "module/model",
        "module/discriminator",
        "optimizer/model",
        "optimizer/discriminator",
    } <= groups.keys()
    assert (about["step"], about["counts"]) == (8, {})


def test_extending_equals_training_at_once(shards, tmp_path):
    short, long = tiny.card(steps=4, condition_dropout=0.3), tiny.card(steps=8, condition_dropout=0.3)
    before = tiny.train(tmp_path / "parts", short, shards, log_every=2)
    after = tiny.train(tmp_path / "parts", long, shards, log_every=2)
    assert before != after and before.exists()  # the shorter training's weights stay
    assert_same_training(tiny.train(tmp_path / "whole", long, shards, log_every=2), after)


def test_a_finished_training_is_only_exported(shards, tmp_path, monkeypatch):
    card = tiny.card(steps=2)
    made = tiny.train(tmp_path, card, shards)
    before = made.read_bytes()
    made.unlink()
    monkeypatch.setattr(Run, "advance", lambda *_: pytest.fail("trained again"))
    assert tiny.train(tmp_path, card, shards).read_bytes() == before


# -- checkpoints that must not be used -----------------------------------------------------------------------------


@pytest.fixture
def saved(shards, tmp_path):
    """A card, and the checkpoint of its training."""
    card = tiny.card(steps=2)
    tiny.train(tmp_path, card, shards)
    (path,) = tmp_path.glob("checkpoint-*/checkpoint.safetensors")
    return card, path


def refusal(card, shards, folder):
    tiny.output(folder, card).unlink(missing_ok=True)
    with pytest.raises(InputError) as error:
        tiny.train(folder, card, shards)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.9])
def test_a_truncated_checkpoint_is_refused(saved, shards, tmp_path, fraction):
    card, path = saved
    whole = path.read_bytes()
    path.write_bytes(whole[: int(fraction * len(whole))])
    assert f"{path}: not a whole checkpoint" in refusal(card, shards, tmp_path)


def test_a_flipped_bit_in_a_checkpoint_is_refused(saved, shards, tmp_path):
    card, path = saved
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # in a weight
    path.write_bytes(content)
    assert "its bytes have changed" in refusal(card, shards, tmp_path)


def test_the_checkpoint_of_another_card_is_refused(saved, shards, tmp_path):
    card, path = saved
    other = replace(card, seed=2)
    tiny.train(tmp_path, other, shards)
    (others,) = set(tmp_path.glob("checkpoint-*/checkpoint.safetensors")) - {path}
    others.write_bytes(path.read_bytes())
    message = refusal(other, shards, tmp_path)
    assert message.startswith(
        f"{others}: card: found the checkpoint of {path.parent.name.removeprefix('checkpoint-')}, expected"
    )


def test_a_checkpoint_beyond_the_last_step_is_refused(saved, shards, tmp_path):
    card, path = saved
    shorter = replace(card, training=replace(card.training, steps=1))
    assert refusal(shorter, shards, tmp_path) == f"{path}: step: found 2, expected at most 1"


# -- killed from outside -------------------------------------------------------------------------------------------


def wait_for_checkpoint(folder: Path, process) -> None:
    while not list(folder.glob("checkpoint-*/checkpoint.safetensors")):
        assert process.is_alive(), "ended before its first checkpoint"
        time.sleep(0.01)


def test_sigterm_to_the_step(shards, tmp_path, children):
    card, options = tiny.card(trainable="encoder", steps=40, batch=1), {"log_every": 7, "save_minutes": 0}
    whole, output = tmp_path / "whole/a/weights.safetensors", tmp_path / "parts/a/weights.safetensors"
    assert children.step(card, shards, whole, **options).join() == 0
    child = children.step(card, shards, output, **options)
    wait_for_checkpoint(tmp_path / "parts", child)
    child.terminate()
    assert child.join() == 75
    assert not output.exists()
    assert children.step(card, shards, output, **options).join() == 0
    assert_same_training(whole, output)
    first, second = json.loads(output.with_name("card.json").read_text())["made"]["history"]
    assert (first["from"], second["from"], second["to"]) == (0, first["to"], 40)
    assert first["code"] == second["code"] == code_digest("piti.steps.train")


def killed_while_saving(folder, card, shards, options, at):
    """Train, and die by SIGKILL with half of the `at`-th checkpoint written."""
    left, save_file = [at], checkpoint.save_file

    def half(tensors, path, metadata):
        save_file(tensors, path, metadata)
        left[0] -= 1
        if not left[0]:
            os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoint.save_file = half
    tiny.train(folder, card, shards, **options)


KILLED = tiny.card(steps=12, batch=1, timestep_sampler="loss_second_moment", diffusion_steps=2)
KILLED_OPTIONS = {"log_every": 3, "save_minutes": 0}


def test_sigkill_in_the_middle_of_a_save(shards, tmp_path, children):
    for at in (1, 3):
        child = children.start(killed_while_saving, tmp_path / "parts", KILLED, shards, KILLED_OPTIONS, at)
        assert child.join() == -signal.SIGKILL
    assert saved_checkpoint(tmp_path / "parts")[1]["step"] == 2  # the first one died before any checkpoint was whole
    whole = tiny.train(tmp_path / "whole", KILLED, shards, **KILLED_OPTIONS)
    assert_same_training(whole, tiny.train(tmp_path / "parts", KILLED, shards, **KILLED_OPTIONS))


@pytest.mark.slow
def test_sigkill_at_random_moments(shards, tmp_path, children):
    whole, rng, last = tiny.train(tmp_path / "whole", KILLED, shards, **KILLED_OPTIONS), random.Random(0), 0
    for _ in range(6):
        child = children.start(tiny.train, tmp_path / "parts", KILLED, shards, **KILLED_OPTIONS)
        time.sleep(rng.uniform(0.1, 0.6))
        child.kill()
        child.join()
        if list(tmp_path.glob("parts/checkpoint-*/checkpoint.safetensors")):
            step = saved_checkpoint(tmp_path / "parts")[1]["step"]
            assert step >= last
            last = step
    assert_same_training(whole, tiny.train(tmp_path / "parts", KILLED, shards, **KILLED_OPTIONS))
