import numpy as np
import pytest

from piti.evaluate import kid


def test_against_the_definition_pair_by_pair():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((5, 3)), rng.standard_normal((4, 3)) + 1

    def k(a, b):
        return (a @ b / 3 + 1) ** 3

    xx = np.mean([k(x[i], x[j]) for i in range(5) for j in range(5) if i != j])
    yy = np.mean([k(y[i], y[j]) for i in range(4) for j in range(4) if i != j])
    xy = np.mean([k(a, b) for a in x for b in y])
    assert kid.distance(x, y) == pytest.approx(xx + yy - 2 * xy)


def test_has_no_bias_at_small_counts():
    rng = np.random.default_rng(1)
    values = [kid.distance(*rng.standard_normal((2, 10, 4))) for _ in range(2000)]
    assert abs(np.mean(values)) < 4 * np.std(values) / 2000**0.5
