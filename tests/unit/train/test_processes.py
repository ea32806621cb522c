"""Processes and micro-batches share a batch: the gradient is that of the whole batch, for every kind of training.

Not shared on CPUs are batch norms (torch synchronises them on GPUs alone): they are held still. A spectral norm takes a
power iteration for every micro-batch (DEVIATIONS): those start where an iteration changes nothing.
"""

import os
import pickle
import socket
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.unit.train import tiny
from tests.unit.train.test_gan import card as gan_card
from torch.utils.data import DataLoader

from piti import scenes
from piti.baselines.layers import SpectralConv2d
from piti.cards import EstimatorConfig, TrainCard
from piti.conditions.geometry import show_depth, show_normal
from piti.data.shards import write
from piti.devices import place
from piti.run.launch import TORCHRUN
from piti.store import checkpoint
from piti.store.files import InputError, failure, read_json, write_json
from piti.store.lease import exclusive
from piti.train.batches import Files, training_batches
from piti.train.initial import initial_model
from piti.train.row import Work, objective, train_row

BATCH, COUNT, SIDE = 4, 8, 72
WORK = Work(micro_batch=16, workers=0, compile=False, log_every=5, save_minutes=60, minutes=0, gpus=0)
UPSAMPLER = {"adversarial": "log_gan", "discriminator_width": 8, "image_losses_from": 0, "degradation": True}


def estimator_card(condition: str) -> TrainCard:
    card = replace(
        tiny.card("estimator", batch=BATCH), condition=condition, unet=None, encoder=None, image_resolution=SIDE
    )
    channels = len(scenes.CLASSES) if condition == "mask" else 4
    return replace(card, estimator=EstimatorConfig("small_unet", 8, channels))


CARDS = {
    "stage 1": tiny.card(dropout=0.0, trainable="encoder", condition_dropout=0.3),
    "base": tiny.card(dropout=0.0, timestep_sampler="loss_second_moment", diffusion_steps=2),
    "prior": tiny.card("prior_base", dropout=0.0),
    "upsampler, log_gan": tiny.card("upsampler", dropout=0.0, **UPSAMPLER),
    "upsampler, wgan_gp": tiny.card("upsampler", dropout=0.0, **UPSAMPLER | {"adversarial": "wgan_gp"}),
    "pix2pixhd": gan_card("pix2pixhd", batch=BATCH),
    "spade": gan_card("spade", batch=BATCH),
    "oasis": gan_card("oasis", batch=BATCH),
    "estimator of masks": estimator_card("mask"),
    "estimator of geometry": estimator_card("geometry"),
}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Tiny scenes, and larger ones, also with labels and geometry that say less from scene to scene."""
    folder, ids = tmp_path_factory.mktemp("scenes"), [f"scene-{i}" for i in range(COUNT)]
    drawn = scenes.render(5, np.arange(COUNT), SIDE)
    said = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) < (SIDE * SIDE / 4.0 ** np.arange(COUNT))[:, None, None]
    valid = np.isfinite(drawn.depth) & said
    normals = np.where(valid[..., None], drawn.normal, 0)
    geometry = [
        np.concatenate([show_normal(n), show_depth(np.where(v, d, 1.0), v)], axis=-1)
        for n, d, v in zip(normals, drawn.depth, valid, strict=True)
    ]
    labels = (drawn.classes + 1).astype(np.uint8)
    items = {"images": drawn.image, "mask": labels, "sparse mask": np.where(said, labels, 0)}
    items["sparse geometry"] = np.stack(geometry)

    def stored(name: str):
        kind = name.removeprefix("sparse ")
        return write(folder / name, kind, ids, lambda w: items[name][[ids.index(i) for i in w]], 5, SIDE)

    return tiny.data(folder / "tiny", 12), {name: stored(name) for name in items}


def files(card: TrainCard, shards, folder) -> Files:
    """What the card's training reads; a network that is silent at first (its last layer zero) starts stirred."""
    few, large = shards
    if card.baseline or card.estimator:
        return Files(large["images"], large["mask" if card.baseline else f"sparse {card.condition}"])
    init = folder / "init.safetensors"
    if not init.exists() and not card.text:
        save_file(tiny.stirred(initial_model(card, None)), init)
    return Files(*tiny.inputs(card, few), None if card.text else init)


def one_step(path, card: TrainCard, found: Files, work: Work = WORK, environment=()) -> None:
    """Train one step as one of the processes; the first writes the gradients (Adam's first moments) and the terms."""
    os.environ.update(environment)
    with place(work.gpus) as here:
        made = objective(card, found, work, here)
        for layer in (layer for module in made.modules.values() for layer in module.modules()):
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.eval()
            if isinstance(layer, SpectralConv2d):
                u, _, v = torch.linalg.svd(layer.weight_orig.detach().flatten(1), full_matrices=False)
                layer.weight_u.copy_(u[:, 0])
                layer.weight_v.copy_(v[0])
        terms = made.update(training_batches(card, found, here)[0], 0)
        if here.first:
            names = {p: f"{m}.{n}" for m, module in made.modules.items() for n, p in module.named_parameters()}
            kept = [checkpoint.flatten_optimizer(optimizer, names) for optimizer in made.optimizers.values()]
            grads = {name: value for each in kept for name, value in each.items() if name.startswith("exp_avg.")}
            save_file({name: value.contiguous() for name, value in (grads | terms).items()}, path)


def assert_same(whole, parts):
    whole, parts = load_file(whole), load_file(parts)
    assert whole.keys() == parts.keys()
    for network in {name.split(".")[1] for name in whole if name.startswith("exp_avg.")}:
        names = [name for name in whole if name.startswith(f"exp_avg.{network}.")]
        largest = max(whole[name].abs().max() for name in names)
        assert largest > 0
        for name in names:
            torch.testing.assert_close(parts[name], whole[name], rtol=0, atol=1e-3 * largest.item(), msg=name)
    for name in whole.keys() - {name for name in whole if name.startswith("exp_avg.")}:
        torch.testing.assert_close(parts[name], whole[name], rtol=1e-3, atol=1e-5, msg=name)


def group() -> list[dict[str, str]]:
    """What torchrun tells each of two processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    return [both | {"RANK": rank, "LOCAL_RANK": rank} for rank in ("0", "1")]


@pytest.mark.parametrize("kind", CARDS)
def test_two_processes_are_one(kind, shards, tmp_path, children):
    card = CARDS[kind]
    found = files(card, shards, tmp_path)
    both = [children.start(one_step, tmp_path / "two", card, found, WORK, environment) for environment in group()]
    one_step(tmp_path / "one", card, found)
    assert [process.join() for process in both] == [0, 0]
    assert_same(tmp_path / "one", tmp_path / "two")


def training(output, card: TrainCard, found: Files, environment) -> None:
    """Train as one of the processes; the history lies beside the output."""
    os.environ.update(environment)
    made = train_row(card, output, found, WORK)
    write_json(output.with_name("made.json"), made)


def test_processes_that_wait_for_another_job_resume_from_what_it_has_saved(shards, tmp_path, children):
    """The first process alone has the lease of the checkpoint's folder; the other must not look into it earlier."""
    card = CARDS["estimator of masks"]
    steps = [replace(card, training=replace(card.training, steps=n)) for n in (2, 4)]
    found, outputs = files(card, shards, tmp_path), [tmp_path / name / "weights.safetensors" for name in "ab"]
    train_row(steps[0], tmp_path / "before/weights.safetensors", found, WORK)
    saved = tmp_path / f"checkpoint-{card.identity}/checkpoint.safetensors"
    saved.rename(tmp_path / "saved")
    with exclusive(saved.parent):
        both = [
            children.start(training, output, steps[1], found, environment)
            for output, environment in zip(outputs, group(), strict=True)
        ]
        time.sleep(4)  # in which the second one would have begun
        (tmp_path / "saved").rename(saved)
    assert [process.join() for process in both] == [0, 0]
    for output in outputs:
        assert [(p["from"], p["to"]) for p in read_json(output.with_name("made.json"))["history"]] == [(0, 2), (2, 4)]


def saving_whenever_it_may(output, card: TrainCard, found: Files, environment) -> None:
    """Train as one of the processes; the steps at which it writes a checkpoint lie beside the output."""
    os.environ.update(environment)
    saved, save = [], checkpoint.save

    def noted(path, groups, about):
        saved.append(about["step"])
        save(path, groups, about)

    checkpoint.save = noted
    train_row(card, output, found, WORK._replace(save_minutes=0))
    write_json(output.with_name("saved.json"), saved)


def test_processes_agree_on_saving_at_every_tenth_step(shards, tmp_path, children):
    card = CARDS["estimator of masks"]
    card = replace(card, training=replace(card.training, steps=12))
    found, outputs = files(card, shards, tmp_path), [tmp_path / name / "weights.safetensors" for name in "ab"]
    both = [
        children.start(saving_whenever_it_may, output, card, found, environment)
        for output, environment in zip(outputs, group(), strict=True)
    ]
    assert [process.join() for process in both] == [0, 0]
    assert [read_json(output.with_name("saved.json")) for output in outputs] == [[10, 12], []]


def test_the_first_process_alone_writes_that_the_training_has_diverged(shards, tmp_path, children):
    card = CARDS["estimator of masks"]
    card = replace(card, training=replace(card.training, steps=4, lr=1e30))
    found, outputs = files(card, shards, tmp_path), [tmp_path / name / "weights.safetensors" for name in "ab"]
    both = [
        children.start(training, output, card, found, environment)
        for output, environment in zip(outputs, group(), strict=True)
    ]
    assert [process.join() for process in both] == [0, 0]
    assert [output.exists() for output in outputs] == [True, False]
    assert failure(outputs[0]).startswith("diverged: loss is not finite")


@pytest.mark.parametrize("micro_batch", [1, 3])  # 3: 3 + 1
@pytest.mark.parametrize("kind", [kind for kind in CARDS if not kind.startswith("upsampler")])
def test_micro_batches_are_the_whole_batch(kind, micro_batch, shards, tmp_path):
    card = CARDS[kind]
    found = files(card, shards, tmp_path)
    one_step(tmp_path / "whole", card, found)
    one_step(tmp_path / "parts", card, found, WORK._replace(micro_batch=micro_batch))
    assert_same(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.slow  # the compiler's own time
@tiny.needs_compiler
def test_a_compiled_step_of_spade_is_the_uncompiled_one(shards, tmp_path):
    card = CARDS["spade"]
    found = files(card, shards, tmp_path)
    one_step(tmp_path / "plain", card, found)
    one_step(tmp_path / "compiled", card, found, WORK._replace(compile=True))
    assert_same(tmp_path / "plain", tmp_path / "compiled")


def test_micro_batches_are_refused_where_the_discriminator_needs_the_whole(shards, tmp_path):
    card = CARDS["upsampler, log_gan"]
    with pytest.raises(InputError, match="micro_batch: found 2, expected at least 4"):
        objective_of(card, files(card, shards, tmp_path), WORK._replace(micro_batch=2))


def objective_of(card, found, work):
    with place(work.gpus) as here:
        return objective(card, found, work, here)


@pytest.mark.parametrize("kind", CARDS)
def test_a_loader_whose_workers_are_started_anew_gives_the_same_batch(kind, shards, tmp_path):
    """macOS and Windows pickle the data set for each worker."""
    card = CARDS[kind]
    with place(0) as here:
        batches = training_batches(card, files(card, shards, tmp_path), here)
    (sent,) = DataLoader(pickle.loads(pickle.dumps(batches)), batch_size=None, sampler=[3])
    for key, value in batches[3].items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(sent[key], value, rtol=0, atol=0, equal_nan=True)
        else:
            assert sent[key] == value


@pytest.mark.parametrize("there", [("RANK",), ("WORLD_SIZE",), TORCHRUN[:3], TORCHRUN[1:]])
def test_half_of_torchruns_variables_are_refused_in_one_line(there, monkeypatch):
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)
    for name in there:
        monkeypatch.setenv(name, "2")
    with pytest.raises(InputError, match="expected all that torchrun sets, or none"), place(0):
        pass


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE"])
def test_torchruns_variables_are_numbers(name, monkeypatch):
    monkeypatch.setenv(name, "a")
    with pytest.raises(InputError, match=f"{name}=a.*: expected numbers"), place(0):
        pass


def test_leftovers_that_say_alone_are_no_group(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    with place(0) as here:
        assert (here.rank, here.world) == (0, 1)
