"""Edits of label maps: only the segment changes."""

import numpy as np

from piti.data.edits import grow, paste, remove, segment

LABELS = np.full((8, 8), 3, np.uint8)  # sky above grass
LABELS[4:] = 10
LABELS[2:6, 1:4] = 5  # a tree across both
LABELS[7, 7] = 5  # and a leaf


def test_a_segment_is_the_largest_connected_region():
    tree = segment(LABELS, 5)
    assert tree.sum() == 12 and tree[2:6, 1:4].all()
    assert not segment(LABELS, 26).any()


def test_what_is_removed_becomes_what_is_nearest():
    gone = remove(LABELS, segment(LABELS, 5))
    assert (gone[2:4, 1:4] == 3).all() and (gone[4:6, 1:4] == 10).all()
    assert np.array_equal(gone != LABELS, segment(LABELS, 5)) and gone.dtype == np.uint8


def test_what_is_pasted_covers_its_region_alone():
    region = np.zeros((8, 8), bool)
    region[:2, 5:] = True
    assert np.array_equal(paste(LABELS, region, 26) == 26, region)
    assert paste(LABELS, region, 26).dtype == np.uint8


def test_what_grows_keeps_its_class_and_reaches_as_far_as_it_says():
    larger = grow(LABELS, segment(LABELS, 5), 0.26)  # of 8: nearer than 2.08
    assert (larger[:8, 3:6] == 5)[2:6].all() and (larger[2:6, 6] != 5).all()
    assert larger[7, 7] == 5 and (larger == 5).sum() > 12 and larger.dtype == np.uint8
