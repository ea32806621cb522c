"""`make prior` trains today what it trained when the prior that ships was made."""

import csv
from dataclasses import replace

import pytest
from tests.house import ROOT

from piti.config import load
from piti.plan import Plan
from piti.plan.models import trained
from piti.train.batches import Files
from piti.train.row import Work, train_row

STEPS = 125  # the first line of its curve
BEGINNING = {  # mean losses over them, as the training that ships wrote them
    "prior_base": {"mse": 0.21150532, "vb": 0.049470886},
    "prior_upsampler": {"mse": 0.18353862, "vb": 0.04769079},
}


@pytest.mark.parametrize("row", BEGINNING)
def test_the_first_steps_are_those_of_the_prior_that_ships(row, tmp_path):
    """Digit by digit on the kind of CPU that made it; other rounding drifts."""
    card = trained(Plan(load({"preset": "prior"}, ROOT / "config")), row, "", 1.0, 0).card
    card = replace(card, training=replace(card.training, steps=STEPS))
    work = Work(micro_batch=16, workers=0, compile=False, log_every=STEPS, save_minutes=60, minutes=0)
    output = tmp_path / row / "0000000000" / "weights.safetensors"
    train_row(card, output, Files(), work)
    with open(output.with_name("curve.csv"), newline="") as file:
        (line,) = csv.DictReader(file)
    assert {name: float(value) for name, value in line.items() if name != "step"} == pytest.approx(
        BEGINNING[row], rel=1e-3
    )
