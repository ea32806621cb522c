"""What the upsampler's small input is made of."""

import numpy as np
import pytest
from tests.unit.train import tiny

from piti.data.degradation import degrade
from piti.data.resize import shrink
from piti.train.batches import low_res

IMAGE = np.random.default_rng(0).integers(0, 256, (tiny.SIDE, tiny.SIDE, 3), dtype=np.uint8)
DRAWS = 400


def inputs(**training) -> np.ndarray:
    make = low_res(tiny.card("upsampler", **training))
    return np.stack([make(IMAGE, np.random.default_rng([7, draw])) for draw in range(DRAWS)])


def poor() -> np.ndarray:
    factor = tiny.SIDE // tiny.BASE_SIDE
    return np.stack([degrade(IMAGE, factor, np.random.default_rng([7, draw])) for draw in range(DRAWS)])


def shrunk(images: np.ndarray) -> np.ndarray:
    return (images == shrink(IMAGE[None], tiny.BASE_SIDE)).all(axis=(1, 2, 3))


def test_without_degradation_the_picture_is_made_small():
    assert shrunk(inputs(degradation=False)).all()


def test_degradation_says_of_every_picture_that_it_is_degraded():
    np.testing.assert_array_equal(inputs(degradation=True), poor())


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_share_of_the_pictures_is_degraded_and_the_others_are_made_small(share):
    found = 1 - shrunk(inputs(degradation=True, degradation_share=share)).mean()
    assert not shrunk(poor()).any()
    assert abs(found - share) < 4 * np.sqrt(share * (1 - share) / DRAWS)
