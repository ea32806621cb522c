import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piti.evaluate import frechet


def sets(n, m, d, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), 1.2 * rng.standard_normal((m, d)) @ rng.standard_normal((d, d)) + 0.3


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 30), m=st.integers(2, 30), d=st.integers(30, 40), seed=st.integers(0, 999))
def test_nuclear_norm_agrees_with_moments(n, m, d, seed):
    """Two roads to one number; both covariances are singular here."""
    x, y = sets(n, m, d, seed)
    by_moments = frechet.distance_from_moments(*frechet.moments(x), *frechet.moments(y))
    assert frechet.distance(x, y) == pytest.approx(by_moments, rel=1e-6)


def test_roads_meet_where_count_equals_width():
    x, y = sets(24, 25, 24)
    assert frechet.distance(x, y[:24]) == pytest.approx(
        frechet.distance_from_moments(*frechet.moments(x), *frechet.moments(y[:24])), rel=1e-6
    )


def test_closed_form_of_commuting_gaussians():
    """|μ₁ - μ₂|² + Σ (√a - √b)² for diagonal covariances, also with zeros."""
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0, 4, (2, 12))
    a[:5], b[3:7] = 0, 0
    mean = rng.standard_normal(12)
    got = frechet.distance_from_moments(mean, np.diag(a), 0 * mean, np.diag(b))
    assert got == pytest.approx(mean @ mean + np.sum((np.sqrt(a) - np.sqrt(b)) ** 2))


@pytest.mark.parametrize("n", [20, 80])  # fewer and more members than columns
def test_identities(n):
    x, y = sets(n, n, 40)
    rotation = np.linalg.qr(np.random.default_rng(2).standard_normal((40, 40)))[0]
    d = frechet.distance(x, y)
    assert frechet.distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet.distance(x, x + 0.5) == pytest.approx(40 * 0.25)
    assert frechet.distance(y, x) == pytest.approx(d)
    assert frechet.distance(3 * x, 3 * y) == pytest.approx(9 * d)
    assert frechet.distance(x @ rotation - 1, y @ rotation - 1) == pytest.approx(d)


def test_a_distance_is_never_below_zero():
    """By rounding it was -7e-14 for a set and itself, and printed as -0.00."""
    same = [sets(n, n, 40, seed)[1] for n in (20, 80) for seed in range(10)]
    assert all(0 <= frechet.distance(x, x) < 1e-9 for x in same)


def test_moments_are_unbiased_and_float64():
    x = (np.random.default_rng(3).standard_normal((50, 4)) + 1e4).astype(np.float32)
    mean, covariance = frechet.moments(x)
    np.testing.assert_allclose(covariance, np.cov(x.astype(np.float64), rowvar=False), rtol=1e-10)
    assert mean.dtype == covariance.dtype == np.float64
