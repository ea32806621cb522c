"""Figures show what there is, and say what there is not."""

import numpy as np
import pytest
from PIL import Image

from piti.cards import FigureCard, Strip
from piti.data.shards import write
from piti.files import write_failure
from piti.report.figures import make_figure, middle, pick, show_condition

IDS = [f"image-{i}" for i in range(6)]
SIDE = 16


def shards(folder, kind, array):
    return write(folder, kind, IDS, lambda wanted: array[[IDS.index(i) for i in wanted]], 4, SIDE)


@pytest.fixture
def files(tmp_path):
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (6, SIDE, SIDE, 3), dtype=np.uint8)
    labels = draw.integers(0, 9, (6, SIDE, SIDE), dtype=np.uint8)
    return {
        "conditions": [shards(tmp_path / "mask", "mask", labels)],
        "photographs": [shards(tmp_path / "images", "images", pictures)],
        "low_res": [shards(tmp_path / "low", "images", pictures)],
        "samples": [shards(tmp_path / "samples", "images", pictures)],
    }


def card(**more):
    strip = Strip(
        task="ADE20K",
        condition="mask",
        conditions="c",
        photographs="p",
        labels=("Ours", "SPADE"),
        low_res="l",
        samples=("s", ""),
        reasons=("", "no source configured"),
    )
    return FigureCard(name="f", title="T", preset="smoke", note="", images=2, seed=0, strips=(strip,), **more)


def size(path):
    with Image.open(path) as image:
        return image.size


def test_a_missing_column_says_why_and_crops_double_the_lines(tmp_path, files):
    make_figure(card(), tmp_path / "plain.png", **files)
    make_figure(card(crop=0.5), tmp_path / "crops.png", **files)
    plain, crops = size(tmp_path / "plain.png"), size(tmp_path / "crops.png")
    assert plain[0] == crops[0] and crops[1] > 1.5 * plain[1]


def test_a_failed_method_is_a_column_with_its_reason(tmp_path, files):
    write_failure(files["samples"], "diverged: mse")
    make_figure(card(), tmp_path / "figure.png", **files)
    assert size(tmp_path / "figure.png")[0] > 0


def test_without_any_data_there_is_still_a_picture(tmp_path):
    empty = FigureCard(name="f", title="T", preset="paper", note="", images=2, seed=0, strips=())
    make_figure(empty, tmp_path / "figure.png", [], [], [], [])
    assert size(tmp_path / "figure.png")[0] > 0


def test_the_same_card_gives_the_same_bytes(tmp_path, files):
    for name in ("a", "b"):
        make_figure(card(), tmp_path / f"{name}.png", **files)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_pieces():
    picture = np.arange(100).reshape(10, 10)
    assert middle(picture, 0.4).shape == (4, 4) and middle(picture, 0.4)[0, 0] == picture[3, 3]
    assert pick(IDS, 3, 0) == pick(IDS, 3, 0) and len(set(pick(IDS, 3, 1))) == 3 and len(pick(IDS, 99, 0)) == 6
    edges = show_condition(np.eye(4, dtype=np.uint8)[None], "sketch")
    assert edges.shape == (1, 4, 4, 3) and edges[0, 0, 0].tolist() == [255] * 3 and not edges[0, 0, 1].any()
    assert not show_condition(np.zeros((1, 4, 4), np.uint8), "mask").any()  # void is black
