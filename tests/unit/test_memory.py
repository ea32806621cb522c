"""Memory in the plan: peaks as they were counted, what fits, and what would."""

from pathlib import Path

import pytest
from tests.unit.test_cli import piti  # noqa: F401 (a fixture)
from tests.unit.test_status import columns

from piti.cards import TrainCard
from piti.cards.base import digest
from piti.config import Machine, load
from piti.count import __main__ as count
from piti.plan import memory, resolve
from piti.plan.cost import sized
from piti.plan.memory import CONTEXT, GIB, fits, peak, remedies

MACHINE = Machine(micro_batch=32, sample_batch=8)


@pytest.fixture(scope="module")
def cards():
    """Row or kind of work of the paper preset, in fp32 -> one of its cards."""
    plan, _, _ = resolve(load({"precision": "fp32"}, Path(__file__).parents[2] / "config"))
    return {
        a.name.split("-")[0] if isinstance(a.card, TrainCard) else a.step: a.card
        for a in plan.artefacts.values()
        if sized(a.card)
    }


@pytest.fixture
def known(monkeypatch):
    """Say what a card takes: known(card, fp32=(fixed, image) in GiB, …)."""

    def say(card, **peaks):
        entry = {how: {"fixed": fixed * GIB, "image": image * GIB} for how, (fixed, image) in peaks.items()}
        monkeypatch.setitem(memory.PEAKS, digest(sized(card)), {"name": "a card"} | entry)

    return say


def test_a_peak_is_what_is_always_there_and_what_each_image_adds(cards, known):
    for name, images in {"stage1": 32, "upsampler": 4, "pix2pixhd": 1, "sample": 8, "generate": 8}.items():
        known(cards[name], fp32=(3, 0.5))
        assert peak(cards[name], MACHINE) == ("fp32", images, CONTEXT + 3 + 0.5 * images)
    assert peak(cards["stage1"], MACHINE, processes=8).images == 16


def test_what_nobody_counted_is_unknown_and_fits_nowhere(cards, monkeypatch):
    monkeypatch.setattr(memory, "PEAKS", {})
    found = peak(cards["spade"], MACHINE)
    assert found.gib is None
    assert not fits(found, 1000)


def test_what_does_not_fit_is_told_what_would(cards, known):
    for name in ("stage1", "spade", "upsampler"):
        known(cards[name], fp32=(4, 1.25), bf16=(4, 0.625))
    assert remedies(cards["stage1"], MACHINE, 40) == ["precision: bf16", "machine.micro_batch: 28", "8 GPUs"]
    assert remedies(cards["spade"], MACHINE, 40) == ["precision: bf16", "2 GPUs"]  # its norms see the whole batch
    assert remedies(cards["spade"], MACHINE, 20) == ["4 GPUs"]
    assert remedies(cards["upsampler"], MACHINE, 9) == ["precision: bf16", "2 GPUs"]  # a discriminator does
    assert remedies(cards["upsampler"], MACHINE, 5) == []


def test_plan_prints_the_largest_peak_of_each_row(piti, monkeypatch):  # noqa: F811
    plan, _, _ = resolve(load({"preset": "smoke"}, Path("config")))
    entries = {}
    for artefact in plan.artefacts.values():
        if artefact.name.startswith("spade-") and isinstance(artefact.card, TrainCard):
            size = 9 if "coco_mask" in artefact.name else 3
            entries[digest(sized(artefact.card))] = {"fp32": {"fixed": size * GIB, "image": GIB}}
    monkeypatch.setattr(memory, "PEAKS", entries)
    printed = piti("plan", "table1", "--gpu", "RTX-3090")
    assert columns(printed, "train spade")[-4:] == ["fp32", "8", "18.0", "fits"]
    assert columns(printed, "train oasis")[-2:] == ["?", "unknown"]
    for entry in entries.values():
        entry["fp32"]["image"] = 8 * GIB
    assert "74.0  too much; enough: 8 GPUs" in piti("plan", "table1", "--gpu", "RTX-3090")


def test_everything_of_the_paper_preset_is_counted():
    assert count.cards("paper").keys() <= memory.PEAKS.keys(), "run `python -m tests.gpu.memory`"


def test_what_was_counted_rises_with_the_images():
    """fixed holds the weights, image is what each further picture takes."""
    for entry in memory.PEAKS.values():
        for line in (entry[precision] for precision in ("fp32", "bf16") if precision in entry):
            assert line["fixed"] > 0 and line["image"] > 0, entry
