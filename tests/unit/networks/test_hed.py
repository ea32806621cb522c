"""HED: keys and counts of the published network, and what `edges` does around it (golden values: tests/golden)."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from piti.networks.hed import HED, edges

FULL = json.loads((Path(__file__).parents[2] / "golden/data/full_keys.json").read_text())["hed"]


def test_keys_shapes_and_count_are_the_published_ones():
    with torch.device("meta"):
        state = HED().state_dict()
    assert [[name, list(value.shape)] for name, value in state.items()] == FULL["keys"]
    assert sum(value.numel() for value in state.values()) == FULL["n_params"]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return HED().eval()


def test_edges_hands_over_blue_green_red_in_0_to_1(model):
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    bgr = torch.from_numpy(images[..., ::-1].copy()).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        expected = model(bgr)[:, 0].numpy()
    assert np.array_equal(edges(model, images), expected)


def test_a_batch_is_its_items(model):
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    alone = np.concatenate([edges(model, image[None]) for image in images])
    np.testing.assert_allclose(edges(model, images), alone, atol=1e-5)


def test_a_larger_side_comes_back_at_the_photographs_own(model):
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    enlarged = edges(model, images, resolution=32)
    assert enlarged.shape == (2, 16, 16)
    assert np.abs(enlarged - edges(model, images)).max() > 1e-4
