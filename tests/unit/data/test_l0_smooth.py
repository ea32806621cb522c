"""The L0 filter: what it keeps, what it flattens, and that its differences wrap around."""

import numpy as np

from piti.data.l0_smooth import l0_smooth


def two_tones(noise: float) -> np.ndarray:
    """32×40: dark left half, light right half."""
    image = np.full((32, 40, 3), 0.2)
    image[:, 20:] = 0.8
    return image + noise * np.random.default_rng(0).standard_normal(image.shape)


def test_texture_goes_and_edges_stay():
    noisy = two_tones(0.01)
    smooth = l0_smooth(noisy, lam=0.004)
    assert smooth[:, 2:18].std() < 0.1 * noisy[:, 2:18].std()
    np.testing.assert_allclose(smooth[:, 20] - smooth[:, 19], 0.6, atol=0.02)


def test_a_vanishing_weight_changes_nothing():
    image = two_tones(0.05)
    np.testing.assert_allclose(l0_smooth(image, lam=1e-9), image, atol=1e-3)


def test_the_mean_of_each_channel_is_kept():
    image = two_tones(0.05) * [1.0, 0.5, 0.1]
    np.testing.assert_allclose(l0_smooth(image, lam=0.002).mean((0, 1)), image.mean((0, 1)), rtol=1e-6)


def test_the_picture_is_a_torus():
    image = two_tones(0.02)
    rolled = l0_smooth(np.roll(image, (5, 11), axis=(0, 1)), lam=0.004)
    np.testing.assert_allclose(rolled, np.roll(l0_smooth(image, lam=0.004), (5, 11), axis=(0, 1)), atol=1e-4)
