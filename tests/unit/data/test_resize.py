"""Shrinking: commutes exactly with the flip, which is why small photographs can be packed once."""

import cv2
import numpy as np
import pytest

from piti.data.resize import shrink


@pytest.mark.parametrize(("resolution", "smaller"), [(256, 64), (64, 16), (90, 24)])
def test_shrinking_commutes_with_the_flip(resolution, smaller):
    noise = np.random.default_rng(0).integers(0, 256, (4, resolution, resolution, 3), dtype=np.uint8)
    images = np.stack([noise[0], *(cv2.GaussianBlur(image, (0, 0), 1.5) for image in noise[1:])])
    small = shrink(images, smaller)
    assert small.shape == (4, smaller, smaller, 3)
    assert np.array_equal(shrink(np.ascontiguousarray(images[:, :, ::-1]), smaller), small[:, :, ::-1])


def test_a_flat_photograph_stays_flat():
    flat = np.broadcast_to(np.array([3, 200, 77], np.uint8), (2, 64, 64, 3))
    assert (shrink(flat, 16) == [3, 200, 77]).all()
