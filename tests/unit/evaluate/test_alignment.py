import numpy as np
import pytest

from piti.evaluate import alignment

rng = np.random.default_rng(0)


def test_labels_against_a_hand_count():
    wanted = np.array([[0, 1, 1, 1], [2, 2, 2, 2]])
    predicted = np.array([[3, 1, 1, 2], [2, 2, 1, 3]])  # the void pixel's prediction does not count
    (counts,) = alignment.overlaps(predicted[None], wanted[None], num_classes=4)
    assert counts.sum(axis=1).tolist() == [4, 7, 7]
    assert alignment.mean_iou(counts) == pytest.approx((2 / 4 + 2 / 5) / 2)  # class 3 is not wanted anywhere


def test_counts_of_images_add_up():
    wanted, predicted = rng.integers(0, 9, (2, 4, 8, 8), dtype=np.uint8)
    whole = alignment.overlaps(predicted.reshape(1, 32, 8), wanted.reshape(1, 32, 8), 9)
    np.testing.assert_array_equal(alignment.overlaps(predicted, wanted, 9).sum(axis=0), whole[0])


def test_perfect_labels_and_none():
    wanted = rng.integers(0, 9, (4, 8, 8))
    counts = alignment.overlaps(wanted, wanted, 9).sum(axis=0)
    assert alignment.mean_iou(counts) == 1
    (nothing,) = alignment.overlaps(wanted[:1], np.zeros_like(wanted[:1]), 9)
    assert np.isnan(alignment.mean_iou(nothing))


def test_edges_within_the_radius_count():
    wanted = np.zeros((1, 32, 32), bool)
    wanted[0, 10] = True
    for shift, expected in ((0, 1), (2, 1), (3, 0)):
        predicted = np.roll(wanted, shift, axis=1)
        assert alignment.edge_f1(predicted, wanted, radius=2)[0] == expected


def test_edge_f1_is_the_harmonic_mean_of_precision_and_recall():
    wanted = np.zeros((1, 32, 32), bool)
    wanted[0, 10], wanted[0, 20] = True, True  # the second line is missed: recall 1/2
    predicted = np.zeros_like(wanted)
    predicted[0, 10], predicted[0, 29, :16] = True, True  # 16 of 48 pixels are wrong: precision 2/3
    assert alignment.edge_f1(predicted, wanted, radius=1)[0] == pytest.approx(2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2))


def test_empty_edge_maps_and_neighbouring_images():
    wanted = np.zeros((2, 16, 16), bool)
    wanted[1, 3] = True  # an edge of one image must not serve the other
    predicted = np.zeros_like(wanted)
    np.testing.assert_array_equal(alignment.edge_f1(predicted, wanted), [1, 0])
    np.testing.assert_array_equal(alignment.edge_f1(wanted[::-1].copy(), wanted), [0, 0])


def test_depth_error_ignores_scale_and_invalid_pixels():
    wanted = rng.uniform(1, 9, (3, 8, 8))
    valid = rng.random((3, 8, 8)) < 0.7
    np.testing.assert_allclose(alignment.depth_error(2.5 * wanted, wanted, valid), 0, atol=1e-7)
    wrong = np.where(valid, wanted * np.exp(rng.standard_normal(wanted.shape)), -1)
    expected = [np.log(p[v] / w[v]).std() for p, w, v in zip(wrong, wanted, valid, strict=True)]
    np.testing.assert_allclose(alignment.depth_error(wrong, np.where(valid, wanted, 0), valid), expected)


def test_normal_error_in_degrees():
    angle = np.radians([10, 30])[:, None, None]
    wanted = np.broadcast_to([0.0, 0.0, 1.0], (2, 4, 4, 3))
    predicted = np.stack(np.broadcast_arrays(3 * np.sin(angle), 0, 3 * np.cos(angle)), axis=-1)
    predicted = np.broadcast_to(predicted, (2, 4, 4, 3))
    valid = np.ones((2, 4, 4), bool)
    np.testing.assert_allclose(alignment.normal_error(predicted, wanted, valid), [10, 30])
    assert np.isnan(alignment.normal_error(predicted, wanted, ~valid)).all()
