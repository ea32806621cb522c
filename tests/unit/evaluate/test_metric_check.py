"""The check of the metric: distortions do what they say, and a metric that does not see them is found out."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from piti.cards import MetricCheckCard
from piti.data import shards
from piti.evaluate import extract
from piti.evaluate.metric_check import DISTORTIONS, Distorted, check_metric
from piti.report.metric_check import rises, write_check

SIDE = 16


@pytest.fixture(scope="module")
def photographs() -> np.ndarray:
    """Smooth random pictures, N x S x S x 3 uint8, away from black and white."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(60, 180, (40, 4, 4, 3), np.uint8)
    return coarse.repeat(SIDE // 4, axis=1).repeat(SIDE // 4, axis=2)


def distorted(photographs: np.ndarray, kind: str, strength: float) -> np.ndarray:
    rows = range(len(photographs))
    return Distorted(photographs, rows, kind, strength, seed=0)[list(rows)].astype(float)


def test_each_distortion_does_what_it_says(photographs):
    original = photographs.astype(float)
    added = distorted(photographs, "noise", 0.1) - original
    assert abs(added.mean()) < 0.2
    assert added.std() == pytest.approx(12.75, rel=0.02)
    np.testing.assert_array_equal(distorted(photographs, "shift", 0.2), (original + 25.5).round())
    blurred = distorted(photographs, "blur", 0.4)
    assert blurred.std() < original.std()
    vivid, grey = distorted(photographs, "saturation", 0.1), original.mean(axis=-1, keepdims=True)
    np.testing.assert_allclose(vivid - grey, 1.1 * (original - grey), atol=0.51)


@pytest.mark.parametrize("kind", DISTORTIONS)
def test_a_picture_is_distorted_alike_in_any_company(photographs, kind):
    together = Distorted(photographs, range(40), kind, 0.4, seed=0)
    np.testing.assert_array_equal(together[[3, 7]][1], together[[7]][0])
    assert together[[7]].dtype == np.uint8


@pytest.mark.parametrize(("network", "rises"), [("sees", "yes"), ("blind", "no")])
def test_a_metric_is_believed_only_if_it_rises(photographs, network, rises, tmp_path, monkeypatch):
    def sees(images: np.ndarray) -> np.ndarray:
        values = images.reshape(len(images), -1, 3) / 255
        steps = np.abs(np.diff(images.astype(float), axis=1)).mean(axis=(1, 2, 3)) / 255
        return np.column_stack([values.mean(axis=1), values.std(axis=1), steps])

    def blind(images: np.ndarray) -> np.ndarray:
        return images[:, :2, 0, 0] * 0 + np.arange(len(images))[:, None]

    def load(name, weights, device):
        extractor = {"sees": sees, "blind": blind}[network]
        extractor.spec = SimpleNamespace(name=name)
        return extractor

    monkeypatch.setattr(extract, "load", load)
    ids = [f"{i:02d}" for i in range(len(photographs))]
    index = shards.write(tmp_path / "shards", "images", ids, lambda asked: photographs[[*map(int, asked)]], 40, SIDE)
    card = MetricCheckCard(
        name="metric_check", title="", preset="", note="", extractors={"fid": "any"}, strengths=(0.4, 0.8), seed=0
    )
    output = tmp_path / "table.csv"
    write_check(card, output, check_metric(card, [index, index], [tmp_path / "weights"], 8, torch.device("cpu")))
    table, long = pd.read_csv(output), pd.read_csv(tmp_path / "long.csv")
    assert list(table.columns) == ["Distortion", "floor", "0.4", "0.8", "rises", "preset", "note", "n"]
    assert len(table) == len(DISTORTIONS)
    assert set(table["rises"]) == {rises}
    assert set(long["n"]) == {40}
    assert len(long) == 3 * len(DISTORTIONS)


@pytest.mark.parametrize(
    ("values", "said"),
    [([1, 2, 3, 4], "yes"), ([2, 2, 1, 4], "from 0.2"), ([2, 1, 3, 4], "from 0.1"), ([1, 2, 3, 3], "no")],
)
def test_where_a_weak_distortion_is_not_seen_it_says_from_which_the_distance_rises(values, said):
    assert rises(["floor", "0.1", "0.2", "0.4"], values) == said


def test_without_photographs_it_says_why(tmp_path):
    card = MetricCheckCard(
        name="m", title="", preset="", note="", extractors={"fid": "a"}, strengths=(0.1,), seed=0, reason="no source"
    )
    write_check(card, tmp_path / "table.csv", check_metric(card, [], [], 8, torch.device("cpu")))
    assert "no source" in (tmp_path / "table.csv").read_text()
    assert "no source" in (tmp_path / "table.md").read_text()
