"""Alignment of sketches by HED, and what is refused; masks and geometry: tests/unit/train/test_estimator.py."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from piti import evaluate, scenes
from piti.cards import AlignmentCard
from piti.data.shards import Shards, write
from piti.evaluate.measure import measure, reader
from piti.networks.hed import HED
from piti.store.files import InputError

SIDE, COUNT = 32, 6
CPU = torch.device("cpu")
IDS = [f"scene-{i}" for i in range(COUNT)]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """HED with random weights: edges that mean nothing, but follow from the picture."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("hed") / "hed.safetensors"
    save_file(HED().state_dict(), path)
    return path


def card(threshold: float, **more) -> AlignmentCard:
    return AlignmentCard(
        measure="edge_f1", images="", conditions="c", network="", threshold=threshold, **{"min_images": 3} | more
    )


def packed(folder, kind: str, items: np.ndarray, ids=IDS):
    return write(folder / kind, kind, ids, lambda wanted: items[[ids.index(i) for i in wanted]], 4, SIDE)


def test_photographs_follow_their_own_sketches(tmp_path, network):
    pictures = scenes.render(1, np.arange(COUNT), SIDE).image
    threshold = float(np.median(reader(card(0.5), network, CPU)(pictures).astype(float)) or 0.5)
    drawn = reader(card(threshold), network, CPU)(pictures)
    images, sketches = packed(tmp_path, "images", pictures), packed(tmp_path, "sketch", drawn)
    found = measure(card(threshold), images, sketches, network, 4, CPU)
    assert found["value"] == 100 and set(found["images"]) == set(IDS)
    assert (found["extractor"]["name"], found["reference"], found["higher_is_better"]) == ("hed", "c", True)


def test_missing_edges_cost(tmp_path, network):
    drawn = np.zeros((COUNT, SIDE, SIDE), bool)
    drawn[0, 10] = True
    images = packed(tmp_path, "images", np.zeros((COUNT, SIDE, SIDE, 3), np.uint8))
    found = measure(card(2.0), images, packed(tmp_path, "sketch", drawn), network, 4, CPU)  # no probability is above 2
    assert [found["images"][i] for i in IDS] == [0, *[100] * (COUNT - 1)]
    assert found["value"] == pytest.approx(100 * (COUNT - 1) / COUNT)


def test_refuses_other_pictures_and_too_few(tmp_path, network):
    empty = np.zeros((COUNT, SIDE, SIDE), np.uint8)
    images = packed(tmp_path, "images", np.zeros((COUNT, SIDE, SIDE, 3), np.uint8))
    others = packed(tmp_path / "o", "sketch", empty, ["other", *IDS[1:]])
    with pytest.raises(InputError, match="ids: found other here or in the conditions only"):
        measure(card(0.6), images, others, network, 4, CPU)
    with pytest.raises(InputError, match="kind: found 'images', expected 'sketch'"):
        measure(card(0.6), images, images, network, 4, CPU)
    with pytest.raises(InputError, match="n: found 6 images, expected at least 100"):
        measure(card(0.6, min_images=100), images, packed(tmp_path, "sketch", empty), network, 4, CPU)
    assert len(Shards(images)) == COUNT


def test_refuses_conditions_of_which_too_few_say_anything(tmp_path, monkeypatch):
    """Without the only one there is no score, so nothing says how far it is from others."""
    monkeypatch.setattr(evaluate.measure, "reader", lambda *_: lambda images: images[..., 0])
    images = packed(tmp_path, "images", np.ones((COUNT, SIDE, SIDE, 3), np.uint8))
    masks = np.zeros((COUNT, SIDE, SIDE), np.uint8)
    asked = AlignmentCard(measure="mean_iou", images="", conditions="c", network="", threshold=0, min_images=3)
    for known in range(2):
        masks[:known] = 1
        conditions = packed(tmp_path / str(known), "mask", masks)
        with pytest.raises(InputError, match=f"found something to follow in {known} of 6 conditions, expected more"):
            measure(asked, images, conditions, None, 4, CPU)
    masks[:2] = 1
    assert measure(asked, images, packed(tmp_path / "2", "mask", masks), None, 4, CPU)["value"] == 100
