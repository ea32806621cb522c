"""The small prior that ships: its files are what the preset `prior` trains, and fit the presets that start from it."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from tests.house import ROOT

from piti.cards import TrainCard
from piti.cards.base import from_dict
from piti.config import load
from piti.config.load import read_yaml
from piti.networks.glide import GLIDE
from piti.networks.weights import TEXT_PART
from piti.plan import Plan, resolve
from piti.plan.models import trained
from piti.store.files import file_digest

CONFIG = ROOT / "config"
ROWS = ("prior_base", "prior_upsampler")


def entry(row: str):
    return load({"preset": "smoke"}, CONFIG).weights[row]


@pytest.mark.parametrize("row", ROWS)
def test_the_file_is_the_one_that_the_configuration_promises(row):
    file = ROOT / entry(row).path
    assert f"sha256:{file_digest(file)}" == entry(row).digest and file.stat().st_size < 4e6


@pytest.mark.parametrize("row", ROWS)
def test_its_recipe_is_the_preset_and_its_tensors_are_the_networks(row):
    card = trained(Plan(load({"preset": "prior"}, CONFIG)), row, "", 1.0, 0).card
    with torch.device("meta"):
        wanted = GLIDE(card.unet, card.text).state_dict()
    with safe_open(ROOT / entry(row).path, "pt") as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        said = from_dict(TrainCard, json.loads(file.metadata()["card"]))
    assert said == card
    assert found == {n: tuple(t.shape) for n, t in wanted.items() if not n.startswith(TEXT_PART)}


@pytest.mark.parametrize("preset", ["smoke", "mini", "claims"])
def test_all_small_presets_start_from_it(preset):
    """With its own networks, and without training another."""
    config, prior = (load({"preset": name}, CONFIG) for name in (preset, "prior"))
    for row in ROWS:
        assert config.models[row].weights == row and not prior.models[row].weights
    for key in ("base", "upsampler"):
        assert getattr(config.networks, key) == getattr(prior.networks, key)


def card(user: dict, row: str, task: str = "") -> TrainCard:
    return trained(Plan(load(user, CONFIG)), row, task, 1.0, 0).card


def images(card: TrainCard) -> int:
    return card.training.steps * card.training.batch


def test_the_middle_prior_of_the_three_is_its_beginning():
    """docs/distance.yaml says so."""
    middle = card({"preset": "mini"} | read_yaml(ROOT / "docs/distance.yaml"), "prior_middle")
    whole = card({"preset": "prior"}, "prior_base")
    assert middle == replace(whole, training=replace(whole.training, steps=12_500))


@pytest.mark.parametrize("row", ["scratch", "spade"])
def test_a_rival_goes_on_where_claims_ends_until_it_has_seen_about_as_much_as_ours_and_its_prior(row):
    """docs/long.yaml says so."""
    claims = {"preset": "claims"}
    long = card(claims | read_yaml(ROOT / "docs/long.yaml"), row, "ade20k_mask")
    assert long.identity == card(claims, row, "ade20k_mask").identity
    assert not getattr(long.baseline, "decay", 0)  # the length changes no learning rate
    ours = [card(claims, row, "ade20k_mask") for row in ("stage1", "continuation", "two_stage")]
    prior = images(card({"preset": "prior"}, "prior_base"))
    assert images(long) > prior and 0.9 < images(long) / (prior + sum(map(images, ours))) < 1


def test_mini_trains_once():
    plan, *_ = resolve(load({"preset": "mini"}, CONFIG))
    assert {a.card.seed for a in plan.artefacts.values() if a.step == "train"} == {0}


def test_no_table_sees_the_scenes_that_trainings_are_looked_at_with():
    """Nor do two data sets show the same scenes, in any preset or between those that report."""
    seeds = {}
    for preset in ("smoke", "mini", "claims", "prior"):
        for name, data in load({"preset": preset}, CONFIG).datasets.items():
            if data.scenes:
                seeds.setdefault(data.scenes.seed, set()).add(name)
    assert all(len(names) == 1 for names in seeds.values())
    validation = {data.validation for data in load({"preset": "claims"}, CONFIG).datasets.values()} - {""}
    assert validation == {"ade20k_validation", "coco_validation", "diode_validation"}
