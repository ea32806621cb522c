"""Is a training looked at on validation pairs where it trains? Mini's, through CUDA's code paths without a GPU."""

import csv
from dataclasses import replace

import pytest

from tests.gpu.project import drawn, tasks, with_losses


@pytest.mark.parametrize("name", ["train scratch-ade20k_mask", "train spade-ade20k_mask"])
def test_it_is_looked_at_where_it_trains(name, tmp_path, monkeypatch):
    """Kernels do nothing, so all pictures are alike, and nothing is said of how far they are."""
    monkeypatch.setattr("piti.train.run.Run.failure", lambda *_: None)  # what the host reads is no number
    task = tasks("mini")[name]
    card = with_losses(task.card, steps=4, batch=2, converge_from=2)
    if card.validation.sampling:
        card = replace(card, validation=drawn(card.validation))
    made = task.run(tmp_path / "own", card, micro_batch=2)
    with open(made / "curve.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["step"] for line in lines if line["validation_distance"]] == ["1", "2", "4"]
    assert all(line["validation_mean_iou"] for line in lines)
