"""Conditions: ranges, closed forms and the laws of flips and null conditions (golden values: tests/golden)."""

import numpy as np
import pytest
import torch
from PIL import Image

from piti.conditions import CONDITIONS, geometry
from piti.conditions.semantics import binary, boundary, one_hot
from piti.datasets.colours import colour_map
from piti.store.files import InputError

SIDE = 24


def stored(name, seed=0):
    high = 2 if name == "sketch" else 256
    return np.random.default_rng(seed).integers(0, high, (3, *CONDITIONS[name].shape(SIDE)), dtype=np.uint8)


@pytest.mark.parametrize("name", CONDITIONS)
def test_shape_range_and_null(name):
    condition = CONDITIONS[name]
    encoded = condition.encode(stored(name))
    assert encoded.shape == (3, condition.channels, SIDE, SIDE)
    assert encoded.dtype == np.float32
    assert encoded.flags.c_contiguous
    assert -1 <= encoded.min() < encoded.max() <= 1
    assert condition.null == 1


@pytest.mark.parametrize("name", CONDITIONS)
def test_flipping_the_stored_items_flips_the_condition(name):
    encode, items = CONDITIONS[name].encode, stored(name)
    assert np.array_equal(encode(items[:, :, ::-1]), encode(items)[..., ::-1])


@pytest.mark.parametrize("name", CONDITIONS)
def test_items_are_encoded_one_by_one(name):
    encode, items = CONDITIONS[name].encode, stored(name)
    assert np.array_equal(encode(items)[1:2], encode(items[1:2]))


def test_every_label_has_a_colour_of_its_own_and_void_is_black():
    colours = colour_map(256)
    assert len(np.unique(colours, axis=0)) == 256
    assert colours[:5].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert (CONDITIONS["mask"].encode(np.zeros((1, 2, 2), np.uint8)) == -1).all()


def test_a_sketch_becomes_the_city_block_distance_to_its_only_edge():
    bits = np.zeros((1, SIDE, SIDE), np.uint8)
    bits[0, 5, 7] = 1
    y, x = np.mgrid[:SIDE, :SIDE]
    expected = (np.abs(y - 5) + np.abs(x - 7)) / 255 * 2 - 1
    np.testing.assert_allclose(CONDITIONS["sketch"].encode(bits)[0, 0], expected, atol=1e-6)


def drawn_wrong(how):
    """A rectangle that people see when they open the file, but not white on black at this size."""
    lines = np.zeros((4 * SIDE, 4 * SIDE), np.uint8)
    lines[SIDE : 3 * SIDE, SIDE : 3 * SIDE] = 255
    lines[SIDE + 4 : 3 * SIDE - 4, SIDE + 4 : 3 * SIDE - 4] = 0
    if how == "0 and 1":
        return lines // 255
    if how == "grey":
        return lines // 255 * 100
    if how == "black on nothing":
        return np.dstack([np.zeros_like(lines)] * 3 + [lines])
    if how == "eight bits in sixteen":
        return lines.astype(np.uint16)
    thin = np.zeros_like(lines)  # nearest neighbours are the third of each four
    thin[SIDE, SIDE : 3 * SIDE] = thin[SIDE : 3 * SIDE, SIDE] = 255
    return thin


@pytest.mark.parametrize(
    "how, brightest",
    [("0 and 1", 1), ("grey", 100), ("black on nothing", 0), ("eight bits in sixteen", 0), ("lines too thin", 255)],
)
def test_a_sketch_that_is_not_empty_is_never_drawn_as_if_it_were(tmp_path, how, brightest):
    path = tmp_path / "a.png"
    Image.fromarray(drawn_wrong(how)).save(path)
    expected = rf"a\.png: found no edge at {SIDE}×{SIDE} pixels \(the file's brightest: {brightest} of 255\), expected"
    with pytest.raises(InputError, match=expected):
        CONDITIONS["sketch"].open(path, SIDE)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"])
def test_an_empty_file_is_an_empty_sketch(tmp_path, mode):
    Image.new(mode, (20, 20)).save(tmp_path / "a.png")
    assert not CONDITIONS["sketch"].open(tmp_path / "a.png", SIDE).any()
    Image.new("LA", (20, 20), (0, 255)).save(tmp_path / "a.png")  # black all over, nothing transparent
    assert not CONDITIONS["sketch"].open(tmp_path / "a.png", SIDE).any()


def test_an_empty_sketch_is_the_null_condition():
    assert (CONDITIONS["sketch"].encode(np.zeros((1, SIDE, SIDE), np.uint8)) == 1).all()


def test_geometry_keeps_channels_and_levels():
    items = stored("geometry")
    levels = (CONDITIONS["geometry"].encode(items) + 1) * 127.5
    np.testing.assert_allclose(levels, items.transpose(0, 3, 1, 2), atol=1e-4)


def test_one_hot_is_undone_by_argmax():
    labels = torch.from_numpy(stored("mask") % 7)
    hot = one_hot(labels, 7)
    assert torch.equal(hot.sum(1), torch.ones(labels.shape))
    assert torch.equal(hot.argmax(1), labels.long())


def test_boundary_is_where_a_neighbour_differs():
    labels = torch.zeros(1, 4, 5, dtype=torch.uint8)
    labels[0, 1, 2] = 3
    expected = torch.zeros(4, 5)
    for y, x in ((1, 2), (0, 2), (2, 2), (1, 1), (1, 3)):
        expected[y, x] = 1
    assert torch.equal(boundary(labels)[0, 0], expected)


def test_an_instance_has_a_boundary_of_its_own_and_covers_the_labels_below_it():
    labels, instances = torch.full((2, 1, 6, 8), 3, dtype=torch.uint8)
    labels[0, :, 4:] = 1  # a label seam, half of it below the first instance
    instances[:] = 0
    instances[0, :3, 2:6] = 1
    instances[0, :3, 6:] = 2  # next to the first
    expected = torch.zeros(6, 8)
    expected[:3, [1, 2, 5, 6]] = 1
    expected[2:4, 2:] = 1
    expected[3:, 3:5] = 1
    assert torch.equal(boundary(labels, instances)[0, 0], expected)
    assert torch.equal(boundary(labels, torch.zeros_like(labels)), boundary(labels))


def test_binary_sketch_keeps_its_bits():
    bits = torch.from_numpy(stored("sketch"))
    assert torch.equal(binary(bits)[:, 0], bits.float())


def test_geometry_is_read_back_from_its_colours():
    """Depth exactly up to the steps of its 256 colours; normals up to theirs, if their least component is -1."""
    draw = np.random.default_rng(0)
    depth, valid = draw.uniform(1, 50, (SIDE, SIDE)), draw.random((SIDE, SIDE)) < 0.8
    normal = draw.standard_normal((SIDE, SIDE, 3))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    normal[0, 0], normal[1, 1] = (0, -1, 0), 0  # the least component; no normal
    maps = np.concatenate([geometry.show_normal(normal), geometry.show_depth(depth, valid)], axis=-1)
    (found,) = geometry.decode(maps[None])
    far = np.percentile(depth, 99)
    shares = np.log(np.clip(depth, 0.5, far)) / np.log(far + 1.01)
    np.testing.assert_allclose(found[3][valid], shares[valid], atol=0.011)  # three of jet's colours appear twice
    assert np.isnan(found[3][~valid]).all()
    assert np.isnan(found[:3, 1, 1]).all()
    known = (normal != 0).any(axis=-1)
    cosine = (found[:3].transpose(1, 2, 0) * normal).sum(axis=-1)[known]
    assert np.degrees(np.arccos(cosine.clip(-1, 1))).max() < 1.5


def test_void_is_painted_in_any_labels_colour():
    labels = np.array([[[0, 1], [182, 0]]], np.uint8)
    painted = np.array([[[183, 1], [182, 183]]], np.uint8)
    np.testing.assert_array_equal(CONDITIONS["mask"].encode(labels, 183), CONDITIONS["mask"].encode(painted))
    np.testing.assert_array_equal(CONDITIONS["mask"].encode(labels)[0, :, 0, 0], -1)
    assert labels[0, 0, 0] == 0  # as it was
    edges = np.zeros((1, 4, 4), np.uint8)
    np.testing.assert_array_equal(CONDITIONS["sketch"].encode(edges, 183), CONDITIONS["sketch"].encode(edges))


def test_labels_that_cannot_occur_have_no_channel():
    labels = torch.tensor([[[0, 3, 17, 3, 9]]], dtype=torch.uint8)
    seen = CONDITIONS["mask"].semantics(labels, 151, classes=(3, 17))
    assert seen[0].argmax(dim=0).tolist() == [[0, 1, 2, 1, 0]]  # 9 cannot be there: void
    assert seen.shape == (1, 3, 1, 5)
    assert seen.sum(dim=1).eq(1).all()
