"""Estimators: they learn to read conditions back, go on where they stopped, and ignore what says nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.unit.train import tiny
from torchvision.models import resnet50

from piti import scenes
from piti.cards import AlignmentCard, EstimatorConfig, TrainCard, TrainingConfig
from piti.conditions import CONDITIONS
from piti.conditions.geometry import show_depth, show_normal
from piti.data.shards import Shards, write
from piti.devices import Place
from piti.evaluate.measure import measure
from piti.evaluate.measures import MEASURES
from piti.evaluate.score import difference
from piti.networks.pretrained import convert
from piti.store.files import InputError
from piti.train.batches import Files
from piti.train.estimator import EstimatorObjective
from piti.train.initial import initial_estimator
from piti.train.row import Work, train_row

SIDE, CLASSES = tiny.SIDE, len(scenes.CLASSES)
WORK = Work(micro_batch=8, workers=0, compile=False, log_every=5, save_minutes=60, minutes=0)
OUT = {"mask": CLASSES, "geometry": 4}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Scenes with labels and geometry."""
    folder, count = tmp_path_factory.mktemp("pairs"), 24
    drawn, ids = scenes.render(5, np.arange(count), SIDE), [f"scene-{i}" for i in range(count)]
    valid = np.isfinite(drawn.depth)
    maps = [
        np.concatenate([show_normal(n), show_depth(np.where(v, d, 1.0), v)], axis=-1)
        for n, d, v in zip(drawn.normal, drawn.depth, valid, strict=True)
    ]
    stored = {"images": drawn.image, "mask": drawn.classes + 1, "geometry": np.stack(maps)}
    return {
        kind: write(folder / kind, kind, ids, lambda w, a=array: a[[ids.index(i) for i in w]], 10, SIDE)
        for kind, array in stored.items()
    }


def card(condition: str, **training) -> TrainCard:
    training = {"batch": 8, "lr": 5e-3, "ema_rate": 0.8} | training
    return TrainCard(
        training=TrainingConfig(kind="estimator", **training),
        seed=3,
        images="",
        condition=condition,
        conditions="",
        image_resolution=SIDE,
        base_resolution=16,
        estimator=EstimatorConfig("small_unet", 8, OUT[condition]),
    )


def train(folder, card, pairs, work=WORK):
    path = tiny.output(folder, card)
    train_row(card, path, Files(pairs["images"], pairs[card.condition]), work)
    return path


def score(weights, condition: str, name: str, pairs, images=None) -> dict:
    how = EstimatorConfig("small_unet", 8, OUT[condition])
    card = AlignmentCard(measure=name, images="", conditions="c", network="", min_images=3, estimator=how)
    return measure(card, images or pairs["images"], pairs[condition], weights, 5, torch.device("cpu"))


@pytest.fixture(scope="module")
def trained(pairs, tmp_path_factory):
    """One estimator a kind of condition."""
    return {kind: train(tmp_path_factory.mktemp(kind), card(kind, steps=60), pairs) for kind in OUT}


@pytest.fixture(scope="module")
def others(pairs, tmp_path_factory):
    """The same photographs, each under the next one's id."""
    shards = Shards(pairs["images"])
    moved = dict(zip(shards.ids, shards[[*range(1, len(shards)), 0]], strict=True))
    folder = tmp_path_factory.mktemp("others")
    return write(folder, "images", shards.ids, lambda wanted: np.stack([moved[i] for i in wanted]), 10, SIDE)


@pytest.mark.parametrize("name", [name for name in MEASURES if MEASURES[name].condition in OUT])
def test_what_was_learnt_tells_own_pictures_from_others(name, pairs, trained, others):
    condition, sign = MEASURES[name].condition, 1 if MEASURES[name].higher_is_better else -1
    own = score(trained[condition], condition, name, pairs)
    assert own["interval"][0] < own["value"] < own["interval"][1]
    assert own["n"] == len(own["images"]) == len(Shards(pairs["images"]))
    better = difference(own, score(trained[condition], condition, name, pairs, others))
    assert min(sign * bound for bound in better.interval()) > 0


def test_goes_on_bit_for_bit(pairs, tmp_path):
    whole = train(tmp_path / "a", card("mask", steps=8), pairs)
    train(tmp_path / "b", card("mask", steps=3), pairs)
    parts = train(tmp_path / "b", card("mask", steps=8), pairs)
    assert whole.read_bytes() == parts.read_bytes()


def test_micro_batches_add_up(pairs, tmp_path):
    """Where all pixels have labels, the mean of the parts is the mean of the whole."""
    whole = train(tmp_path / "a", card("mask", steps=2), pairs)
    parts = train(tmp_path / "b", card("mask", steps=2), pairs, WORK._replace(micro_batch=4))
    for name, tensor in load_file(whole).items():
        torch.testing.assert_close(load_file(parts)[name], tensor, rtol=0, atol=2e-3)


@pytest.mark.parametrize("condition", ["mask", "geometry"])
def test_what_says_nothing_has_no_gradient(condition):
    torch.manual_seed(0)
    found = torch.randn(2, 4, 8, 8, requires_grad=True)
    wanted = torch.full((2, 8, 8), 2) if condition == "mask" else torch.randn(2, 4, 8, 8)
    wanted[..., :4] = 0 if condition == "mask" else float("nan")
    loss = CONDITIONS[condition].estimator_loss(found, wanted)
    loss.sum().backward()
    assert found.grad.isfinite().all() and found.grad[..., 4:].any() and not found.grad[..., :4].any()
    changed = torch.where(torch.arange(8) < 4, 7.0, found.detach())
    torch.testing.assert_close(CONDITIONS[condition].estimator_loss(changed, wanted), loss.detach())
    nothing = torch.zeros_like(wanted) if condition == "mask" else torch.full_like(wanted, float("nan"))
    assert (
        not CONDITIONS[condition].estimator_loss(found, nothing).any() and not CONDITIONS[condition].said(nothing).any()
    )


def deeplab(batch: int, micro_batch: int) -> EstimatorObjective:
    """The network of the paper preset: it has batch norms behind a pooling to one pixel."""
    asked = replace(card("mask", batch=batch), estimator=EstimatorConfig(out_channels=CLASSES))
    return EstimatorObjective(asked, initial_estimator(asked, None), Place(torch.device("cpu")), micro_batch)


def test_no_image_is_left_alone_to_batch_norms():
    """Six images, five at once, are twice three."""
    images, labels = torch.zeros(6, 3, SIDE, SIDE), torch.ones(6, SIDE, SIDE, dtype=torch.uint8)
    assert deeplab(6, 5).update({"image": images, "condition": labels}, 0)["loss"].isfinite()


def test_batch_norms_refuse_a_single_image_at_once():
    with pytest.raises(InputError, match="micro_batch: found 1 of 2 images, expected at least 2 at once"):
        deeplab(2, 1)


def test_deeplab_takes_an_imagenet_trunk(tmp_path):
    """The network of the paper preset, from a file as torchvision publishes it (an older one: without counters)."""
    torch.manual_seed(1)
    published = resnet50(weights=None).state_dict()
    kept = {name: value for name, value in published.items() if not name.endswith("num_batches_tracked")}
    torch.save(kept, tmp_path / "resnet.pth")
    save_file(convert(tmp_path / "resnet.pth", "resnet50_torchvision"), tmp_path / "trunk.safetensors")
    asked = replace(card("mask"), estimator=EstimatorConfig(out_channels=CLASSES))
    network = initial_estimator(asked, tmp_path / "trunk.safetensors")
    taken = network.state_dict()["network.backbone.layer4.2.conv3.weight"]
    torch.testing.assert_close(taken, published["layer4.2.conv3.weight"])
    with torch.inference_mode():
        assert network.eval()(torch.zeros(1, 3, SIDE, SIDE)).shape == (1, CLASSES, SIDE, SIDE)
