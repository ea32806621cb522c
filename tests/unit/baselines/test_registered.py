"""A baseline of somebody else's: a dataclass and a network, and everything else is as it is."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from safetensors.torch import load_file
from tests.unit.train import tiny

from piti.baselines import build
from piti.cards import TrainCard, TrainingConfig
from piti.cards.base import digest, dumps, from_dict
from piti.cards.baselines import BASELINES, BaselineConfig
from piti.config import load
from piti.plan import resolve

SHIPPED = Path(__file__).parents[3] / "config"
USER = {
    "networks": {"baselines": {"toy": {"width": 5}}},
    "models": {"toy": {"kind": "toy", "batch": 2, "epochs": {"default": 1}}},
    "methods": {"toy": {"label": "Toy", "generator": "toy"}},
    "tables": {"table1": {"rows": {"toy": {"method": "toy"}}}},
}


@dataclass(frozen=True)
class ToyConfig(BaselineConfig):
    """A baseline that cannot see geometry."""

    name: ClassVar = "toy"
    network: ClassVar = "tests.flow.toys.toy_networks:Toy"
    conditions: ClassVar = ("mask", "sketch")

    width: int = 3


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(BASELINES, "toy", ToyConfig)


def test_it_is_configured_and_planned_as_the_others():
    plan, tables, _ = resolve(load(USER | {"preset": "smoke"}, SHIPPED))
    cells = {cell.column: cell for cell in tables["table1"].card.cells if cell.row == "Toy"}
    assert [cell.reason for cell in cells.values()] == ["", "", "", "", "", "-"]  # the last is DIODE's geometry
    cards = {a.name: a.card for a in plan.artefacts.values() if a.step in ("train", "generate") and "toy" in a.name}
    assert cards["toy-coco_mask"].baseline == replace(
        ToyConfig(condition_channels=19, resolution=32, width=5), classes=cards["toy-coco_mask"].baseline.classes
    )
    for card in cards.values():
        again = from_dict(type(card), json.loads(dumps(card)))
        assert again == card and digest(again) == digest(card)


def test_it_has_its_defaults_where_nothing_is_said():
    assert load({"preset": "smoke"}, SHIPPED).networks.baselines["toy"] == ToyConfig()


def test_it_trains(tmp_path):
    shards = tiny.data(tmp_path, 6)
    card = TrainCard(
        training=TrainingConfig(kind="toy", batch=2, steps=4, ema_rate=0),
        seed=0,
        images="",
        condition="mask",
        conditions="",
        image_resolution=tiny.SIDE,
        base_resolution=tiny.BASE_SIDE,
        baseline=ToyConfig(condition_channels=20, resolution=tiny.SIDE),
        num_classes=20,
    )
    weights = load_file(tiny.train(tmp_path, card, shards | {"small": shards["images"]}))
    untrained = build(card.baseline)
    assert weights.keys() == untrained.generator.state_dict().keys()
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
