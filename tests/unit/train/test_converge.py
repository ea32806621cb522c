"""The rule of convergence, by itself; tests/unit/train/test_validation.py sees trainings end by it."""

from hypothesis import given
from hypothesis import strategies as st

from piti.train.converge import converged, lengths, looks


def test_a_length_doubles_up_to_the_last():
    assert lengths(1000, 8000) == [1000, 2000, 4000, 8000]
    assert lengths(1000, 1000) == [1000]
    assert looks(900, 3600) == [300, 600, 900, 1200, 1800, 2400, 3600]


def test_less_than_the_gain_over_the_last_third_is_none():
    """SPADE's distances on validation scenes, after 6, 12, 18, 27 and 36 thousand images."""
    seen = distances({300: 643.0, 600: 377.0, 900: 243.0})
    assert not converged(seen, 0.03)
    seen |= distances({1200: 164.0, 1800: 160.0})
    assert converged(seen, 0.03)
    assert not converged(seen, 0.02)


def test_a_training_that_gets_worse_has_converged():
    assert converged(distances({300: 10.0, 600: 9.0, 900: 12.0}), 0.03)


def test_it_goes_on_while_its_pictures_learn_to_follow_their_conditions():
    """Ours on validation scenes, mIoU in %: the distance had stopped within its noise, mIoU had not."""
    seen = {
        667: {"distance": 49.2, "mean_iou": 13.0},
        1333: {"distance": 36.0, "mean_iou": 17.7},
        2000: {"distance": 46.2, "mean_iou": 19.2},
    }
    assert not converged(seen, 0.03)
    assert converged(seen, 0.09)


def test_an_error_that_falls_is_an_improvement():
    seen = {step: {"distance": 5.0, "normal_error": error} for step, error in ((3, 40.0), (6, 36.0), (9, 34.0))}
    assert not converged(seen, 0.03)
    assert converged(seen, 0.06)


def distances(seen: dict[int, float]) -> dict[int, dict[str, float]]:
    return {step: {"distance": distance} for step, distance in seen.items()}


@given(first=st.integers(1, 5000), doubled=st.integers(0, 8))
def test_every_end_is_looked_at_and_something_before_it(first, doubled):
    last = first * 2**doubled
    seen = looks(first, last)
    assert seen == sorted(set(seen)) and seen[0] >= 1 and seen[-1] == last
    for end in lengths(first, last):
        assert end in seen
        converged(distances({step: 1.0 for step in seen if step <= end}), 0.03)  # there is something to compare
    # who trains on has been looked at like a training of that length from the first
    assert looks(first, 2 * last)[: len(seen)] == seen
