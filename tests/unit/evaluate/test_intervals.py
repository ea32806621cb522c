"""The jackknife: exact where it can be, and its coverage by simulation with Gaussians of known distance."""

import numpy as np
import pytest

from piti.evaluate import frechet
from piti.evaluate.intervals import Estimate, jackknife, over_trainings, random_groups


def test_of_a_mean_is_the_textbook_standard_error():
    x = np.random.default_rng(0).standard_normal(30)
    estimate = jackknife(lambda keep: x[keep].mean(), random_groups(30, 30, np.random.default_rng(1)))
    assert estimate.value == pytest.approx(x.mean())
    assert estimate.debiased == pytest.approx(x.mean())
    assert estimate.standard_error == pytest.approx(x.std(ddof=1) / np.sqrt(30))


def test_removes_a_bias_of_one_over_n_with_unequal_groups():
    groups = random_groups(50, 20, np.random.default_rng(0))
    assert {len(group) for group in groups} == {2, 3}
    estimate = jackknife(lambda keep: 7 + 3 / len(keep), groups)
    assert estimate.debiased == pytest.approx(7)
    assert estimate.standard_error == pytest.approx(0, abs=1e-9)


def test_with_unequal_groups_a_mean_is_the_mean():
    """As Busing's extrapolation has it, which weighs the pseudo-values by the sizes of their groups."""
    x = np.random.default_rng(0).standard_normal(50)
    estimate = jackknife(lambda keep: x[keep].mean(), random_groups(50, 20, np.random.default_rng(0)))
    assert estimate.debiased == pytest.approx(x.mean(), rel=1e-12)


def test_groups_are_a_partition_drawn_by_the_generator():
    groups = random_groups(33, 5, np.random.default_rng(4))
    assert sorted(np.concatenate(groups)) == list(range(33))
    again = random_groups(33, 5, np.random.default_rng(4))
    assert all(np.array_equal(a, b) for a, b in zip(groups, again, strict=True))


def test_differences_need_the_same_groups():
    a = Estimate(1.0, np.ones(2), np.array([3, 3]))
    with pytest.raises(ValueError, match="same groups"):
        a - Estimate(1.0, np.ones(2), np.array([3, 4]))


@pytest.fixture(scope="module")
def simulation():
    """Fréchet distances of two methods to one reference, 150 times: n = 300, d = 6, true distances 0.54 and 0.60."""
    rng, n, d, rows = np.random.default_rng(0), 300, 6, []
    for _ in range(150):
        real, noise = rng.standard_normal((2, n, d))
        groups = random_groups(n, 20, rng)
        methods = [0.3 + noise, (0.6 / d) ** 0.5 + 0.9 * noise + 0.19**0.5 * rng.standard_normal((n, d))]
        a, b = (jackknife(lambda keep, y=y: frechet.distance(real[keep], y[keep]), groups) for y in methods)  # noqa: B023
        rows.append((a, b, a - b))
    return rows


def test_interval_covers_the_expected_score_at_this_n(simulation):
    for estimates in zip(*simulation, strict=True):
        expected = np.mean([e.value for e in estimates])
        assert 0.9 <= np.mean([e.interval()[0] < expected < e.interval()[1] for e in estimates]) <= 0.995


def test_debiased_estimate_covers_the_known_distance(simulation):
    for truth, estimates in zip((0.54, 0.60, -0.06), zip(*simulation, strict=True), strict=True):
        errors = [(e.debiased - truth) / e.standard_error for e in estimates]
        assert 0.9 <= np.mean(np.abs(errors) < 2.09) <= 0.995
        assert abs(np.mean([e.debiased for e in estimates]) - truth) < 0.01  # while `value` is biased
    assert np.mean([a.value for a, _, _ in simulation]) > 0.57


def test_pairing_makes_differences_sharper(simulation):
    paired = np.mean([d.standard_error for _, _, d in simulation])
    unpaired = np.mean([np.hypot(a.standard_error, b.standard_error) for a, b, _ in simulation])
    assert paired < 0.6 * unpaired


def test_interval_holds_where_covariances_are_singular():
    rng, n, d = np.random.default_rng(2), 40, 80
    scale = np.exp(-0.05 * np.arange(d))
    estimates = []
    for _ in range(100):
        real, fake = rng.standard_normal((2, n, d)) * scale
        groups = random_groups(n, 10, rng)
        estimates.append(jackknife(lambda keep: frechet.distance(real[keep], 1.2 * fake[keep] + 0.1), groups))  # noqa: B023
    expected = np.mean([e.value for e in estimates])
    assert np.mean([e.interval()[0] < expected < e.interval()[1] for e in estimates]) >= 0.9


def test_without_spread_over_the_images_the_interval_over_trainings_is_students():
    low, high = over_trainings([Estimate(v, np.full(20, v), np.full(20, 5)) for v in (1.0, 2.0, 3.0)])
    assert (low, high) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), abs=1e-5)


def test_without_spread_over_trainings_it_is_that_over_the_images():
    one = Estimate(2.0, np.linspace(1, 3, 20), np.full(20, 5))
    assert over_trainings([one]) == one.interval()
    assert over_trainings([one] * 3) == pytest.approx(one.interval())


def test_it_covers_what_other_trainings_and_other_images_would_give():
    """Scores of 3 trainings on the same 100 images: a training's own level, an image's own level, and noise."""
    rng, inside = np.random.default_rng(0), []
    for _ in range(400):
        scores = 5 + rng.standard_normal((3, 1)) + 4 * rng.standard_normal((1, 100)) + rng.standard_normal((3, 100))
        groups = random_groups(100, 20, rng)
        low, high = over_trainings([jackknife(lambda keep, x=x: x[keep].mean(), groups) for x in scores])
        inside.append(low < 5 < high)
    assert 0.93 <= np.mean(inside) <= 0.99


@pytest.mark.parametrize("trainings", [2, 3, 5])
@pytest.mark.parametrize("ratio", [1, 3, 10])
def test_few_trainings_do_not_make_it_too_narrow(trainings, ratio):
    """ratio: of the variance of the mean over trainings to that over images."""
    rng, inside, groups = np.random.default_rng(0), [], 20
    for _ in range(4000):
        images = groups**0.5 * rng.standard_normal(groups)
        levels = (ratio * trainings) ** 0.5 * rng.standard_normal(trainings)
        low, high = over_trainings([Estimate(images.mean() + x, images + x, np.full(groups, 5)) for x in levels])
        inside.append(low < 0 < high)
    assert 0.945 <= np.mean(inside) <= 0.99
