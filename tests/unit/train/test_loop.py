"""When a training saves, and how it ends badly: divergence is a record in place of the weights, and what was saved
stays good.
"""

import csv
import json
import signal
import subprocess
import time
from multiprocessing import active_children
from types import SimpleNamespace

import pytest
import torch
from tests.unit.train import tiny

from piti.data.loader import Batches
from piti.store import checkpoint
from piti.store.files import InputError, failure
from piti.train import loop
from piti.train.run import Run


@pytest.mark.parametrize(
    ("save_seconds", "steps"),
    [(30, [3, 6, 9, 12, 15, 18, 20]), (300, [3, 18, 20])],  # the second: three times 300 s in between
)
def test_a_checkpoint_is_due_after_so_many_minutes(shards, tmp_path, monkeypatch, save_seconds, steps):
    """By a clock on which a step takes a minute: every third step, less often where saving is slow."""
    now, saved, advance, save = [0.0], [], Run.advance, checkpoint.save

    def advance_a_minute(run, batch):
        now[0] += 60
        advance(run, batch)

    def save_slowly(path, groups, about):
        now[0] += save_seconds
        saved.append(about["step"])
        save(path, groups, about)

    monkeypatch.setattr("piti.train.run.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(Run, "advance", advance_a_minute)
    monkeypatch.setattr(checkpoint, "save", save_slowly)
    tiny.train(tmp_path, tiny.card(steps=20, batch=1), shards, save_minutes=3)
    assert saved == steps
    (path,) = tmp_path.glob("checkpoint-*/checkpoint.safetensors")
    piece = json.loads(path.with_name("progress.json").read_text())["piece"]
    assert piece["save_seconds"] == len(steps) * save_seconds
    assert piece["save_bytes"] == pytest.approx(len(steps) * path.stat().st_size, rel=0.02)  # the curve grows in it


def records(weights):
    """The failure records of the weights and the curve, which must be the same."""
    reason = failure(weights)
    assert reason == failure(weights.with_name("curve.csv"))
    return reason


def test_an_infinite_loss_is_a_record_and_the_last_state_is_finite(shards, tmp_path, children):
    card, weights = tiny.card(lr=1e30, steps=6), tmp_path / "a/weights.safetensors"
    assert children.step(card, shards, weights, save_minutes=0, log_every=3).join() == 0
    assert records(weights) == "diverged: mse is not finite at step 2"
    assert json.loads(weights.with_name("card.json").read_text())["made"]["history"][-1]["to"] == 3
    (path,) = tmp_path.glob("checkpoint-*/checkpoint.safetensors")
    groups, about = checkpoint.load(path)
    assert about["step"] == 1
    assert all(tensor.isfinite().all() for tensors in groups.values() for tensor in tensors.values())


def test_time_counts_from_the_start_of_the_process(shards, tmp_path, monkeypatch):
    """Also what was spent on waiting for a folder."""
    monkeypatch.setattr(loop, "BEGAN", time.monotonic() - 3600)
    with pytest.raises(loop.Stopped):
        tiny.train(tmp_path, tiny.card(steps=6), shards, minutes=59)
    (path,) = tmp_path.glob("checkpoint-*/checkpoint.safetensors")
    assert checkpoint.load(path)[1]["step"] == 1


def test_sigterm_to_all_processes_of_the_training(shards, tmp_path, monkeypatch):
    """As systemd, `timeout` and some clusters send it: the workers live until the training has saved."""
    advance = Run.advance

    def advance_and_stop(run, batch):
        workers = [str(worker.pid) for worker in active_children()]
        assert len(workers) == 2
        subprocess.run(["kill", "-TERM", *workers], check=True)  # from their parent it would mean that all is well
        time.sleep(0.2)  # they have died by now, if they do
        signal.raise_signal(signal.SIGTERM)
        advance(run, batch)

    monkeypatch.setattr(Run, "advance", advance_and_stop)
    with pytest.raises(loop.Stopped):
        tiny.train(tmp_path, tiny.card(steps=1000), shards, workers=2)
    (path,) = tmp_path.glob("checkpoint-*/checkpoint.safetensors")
    assert checkpoint.load(path)[1]["step"] == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_that_cannot_be_read_is_told_in_the_same_words(shards, tmp_path, monkeypatch, workers):
    """Whoever reads it; a worker's own traceback tells nobody anything."""

    def read(batches, step):
        raise InputError("shard-00000.h5: found no readable HDF5 shard")

    monkeypatch.setattr(Batches, "__getitem__", read)
    with pytest.raises(InputError, match=r"^shard-00000\.h5: found no readable HDF5 shard$"):
        tiny.train(tmp_path, tiny.card(steps=6), shards, workers=workers)


def test_the_first_bad_step_is_named_though_it_is_seen_later(shards, tmp_path):
    weights = tiny.train(tmp_path, tiny.card(lr=1e30, steps=6), shards, log_every=4)
    assert records(weights) == "diverged: mse is not finite at step 2"
    assert not list(tmp_path.glob("checkpoint-*/checkpoint.safetensors"))


def test_weights_that_only_the_last_update_spoils(shards, tmp_path, monkeypatch):
    advance = Run.advance

    def advance_and_spoil(run, batch):
        advance(run, batch)
        next(iter(run.ema.values())).view(-1)[-1] = torch.inf

    monkeypatch.setattr(Run, "advance", advance_and_spoil)
    weights = tiny.train(tmp_path, tiny.card(steps=1), shards)
    assert records(weights) == "diverged: the weights are not finite at step 1"


def test_moments_that_would_stop_a_weight_for_ever(shards, tmp_path, monkeypatch):
    advance = Run.advance

    def advance_and_spoil(run, batch):
        advance(run, batch)
        next(iter(run.objective.optimizers["model"].state.values()))["exp_avg_sq"].view(-1)[-1] = torch.inf

    monkeypatch.setattr(Run, "advance", advance_and_spoil)
    weights = tiny.train(tmp_path, tiny.card(steps=1), shards)
    assert records(weights) == "diverged: the optimizer's moments are not finite at step 1"


def test_a_term_that_begins_within_a_line_is_averaged_over_its_own_steps(shards, tmp_path, monkeypatch):
    """Four steps of a line of five have the perceptual loss: its mean is that of the four."""
    card, seen, advance = (
        tiny.card("upsampler", steps=5, batch=2, perceptual="conv2_2", image_losses_from=1),
        [],
        Run.advance,
    )

    def advance_and_look(run, batch):
        advance(run, batch)
        seen.append(run.sums.get("perceptual"))

    monkeypatch.setattr(Run, "advance", advance_and_look)
    rows = tiny.train(tmp_path, card, shards, log_every=5).with_name("curve.csv").read_text().splitlines()
    (line,) = csv.DictReader(rows)
    assert seen[0] is None and seen[1] is not None
    assert float(line["perceptual"]) == pytest.approx(seen[-1].item() / 4, rel=1e-6)


@pytest.mark.parametrize("adversarial", ["wgan_gp", "log_gan"])
def test_a_discriminator_that_diverges(shards, tmp_path, adversarial):
    card = tiny.card(
        "upsampler",
        steps=3,
        batch=2,
        adversarial=adversarial,
        discriminator_lr=1e30,
        discriminator_width=8,
        image_losses_from=1,
    )
    reason = records(tiny.train(tmp_path, card, shards, save_minutes=0))
    assert reason == "diverged: adversarial is not finite at step 2"


def test_the_curve_has_a_mean_a_line_and_no_number_before_a_term_begins(shards, tmp_path):
    card = tiny.card("upsampler", steps=4, batch=2, perceptual="conv2_2", image_losses_from=2)
    alone = tiny.train(tmp_path / "alone", card, shards, log_every=1).with_name("curve.csv").read_text().splitlines()
    pairs = tiny.train(tmp_path / "pairs", card, shards, log_every=2).with_name("curve.csv").read_text().splitlines()
    assert alone[0] == pairs[0] == "step,mse,vb,perceptual"
    assert [line.split(",")[3] == "" for line in alone[1:]] == [True, True, False, False]
    alone, pairs = ([line.split(",") for line in lines[1:]] for lines in (alone, pairs))
    for first, second, mean in zip(alone[::2], alone[1::2], pairs, strict=True):
        assert mean[0] == second[0]
        for a, b, c in zip(first[1:], second[1:], mean[1:], strict=True):
            assert (a, b, c) == ("", "", "") or float(c) == pytest.approx((float(a) + float(b)) / 2, rel=1e-6)
