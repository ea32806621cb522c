"""The loader: a batch follows from (seed, step); pairs stay pairs; processes share one global batch."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from piti.data.loader import Batches, subset
from piti.data.shards import Shards, write
from piti.store.files import InputError

SIDE, COUNT = 8, 10
IDS = [f"p{i}" for i in range(COUNT)]


def ramps(count):
    """Pictures whose pixels say which picture it is and which column: value = 20 * picture + column."""
    return (20 * np.arange(count, dtype=np.uint8)[:, None, None] + np.arange(SIDE, dtype=np.uint8)).repeat(SIDE, 1)


@pytest.fixture
def images(tmp_path):
    array = ramps(COUNT)[..., None].repeat(3, -1)
    return Shards(write(tmp_path / "images", "images", IDS, lambda ids: array[[IDS.index(i) for i in ids]], 4, SIDE))


@pytest.fixture
def masks(tmp_path):
    """The same ramps as labels, stored in another order."""
    array = ramps(COUNT)
    return Shards(write(tmp_path / "mask", "mask", IDS[::-1], lambda ids: array[[IDS.index(i) for i in ids]], 3, SIDE))


@pytest.fixture
def captions(tmp_path):
    tokens = np.arange(COUNT, dtype=np.uint8)[:, None].repeat(5, 1) + 1
    return Shards(write(tmp_path / "captions", "caption", IDS, lambda ids: tokens[[IDS.index(i) for i in ids]], 4, 5))


def same(a, b):
    return a.keys() == b.keys() and all(
        torch.equal(a[key], b[key]) if isinstance(a[key], torch.Tensor) else a[key] == b[key] for key in a
    )


def levels(image):
    return ((image + 1) * 127.5).round().to(torch.uint8)


stored_pairs = partial(Batches, encode=np.asarray, seed=1, batch_size=4)


def test_image_and_condition_stay_a_pair_through_join_order_and_flip(images, masks):
    batches = stored_pairs(images, masks)
    flips = 0
    for step in range(10):
        batch = batches[step]
        assert torch.equal(levels(batch["image"][:, 0]), batch["condition"])
        for name, labels in zip(batch["ids"], batch["condition"], strict=True):
            ramp = torch.from_numpy(ramps(COUNT)[IDS.index(name)])
            flipped = torch.equal(labels, ramp.flip(-1))
            assert flipped or torch.equal(labels, ramp)
            flips += flipped
    assert 10 < flips < 30


def test_images_fill_the_range(images):
    batch = Batches(images, seed=0, batch_size=10, flip=False)[0]
    assert batch["image"].dtype == torch.float32
    assert batch["image"].is_contiguous()
    assert batch["image"].min() == -1
    assert batch["image"].max().item() == pytest.approx((20 * 9 + 7) / 127.5 - 1, abs=1e-6)
    assert batch.keys() == {"ids", "image"}


def test_every_epoch_shows_every_pair_once_in_its_own_order(images):
    batches = Batches(images, seed=5, batch_size=4)
    ids = [name for step in range(5) for name in batches[step]["ids"]]  # 20 = two epochs; step 2 straddles them
    assert sorted(ids[:COUNT]) == sorted(ids[COUNT:]) == sorted(IDS)
    assert ids[:COUNT] != ids[COUNT:]


def test_a_batch_larger_than_the_data_set(images):
    ids = Batches(images, seed=5, batch_size=25, indices=np.arange(3))[0]["ids"]  # eight epochs and one item
    assert {ids.count(name) for name in IDS[:3]} <= {8, 9}


def test_steps_differ_and_seeds_differ(images):
    first = Batches(images, seed=0, batch_size=8)
    other = Batches(images, seed=1, batch_size=8)
    assert not same(first[0], other[0])
    assert first[0]["ids"] != first[5]["ids"]  # steps 0 and 5 both begin an epoch


def test_a_training_that_goes_on_from_another_sees_none_of_its_batches(images, masks):
    def made(before):
        return Batches(images, masks, seed=0, batch_size=4, condition_dropout=0.5, steps_before=before)

    assert same(made(3)[4], made(0)[7]) and not same(made(3)[4], made(0)[4])


def noisy(image, rng):
    return (image[::4, ::4] // 2 + rng.integers(0, 100, (2, 2, 3))).astype(np.uint8)


def test_workers_and_order_change_nothing(images, masks):
    batches = Batches(images, masks, seed=3, batch_size=4, condition_dropout=0.3, low_res=noisy)
    alone = [batches[step] for step in (9, 8, 7)][::-1]
    prefetched = list(DataLoader(batches, batch_size=None, sampler=range(7, 10), num_workers=2))
    assert all(same(a, b) for a, b in zip(alone, prefetched, strict=True))


@pytest.mark.parametrize("world", [2, 4])
def test_processes_share_the_global_batch(images, masks, world):
    build = partial(Batches, images, masks, seed=3, batch_size=8, condition_dropout=0.5, low_res=noisy)
    whole, parts = build()[6], [build(rank=rank, world=world)[6] for rank in range(world)]
    assert whole["ids"] == [name for part in parts for name in part["ids"]]
    for key in ("image", "condition", "low_res"):
        assert torch.equal(whole[key], torch.cat([part[key] for part in parts]))


def test_condition_dropout_puts_the_null_condition_and_moves_nothing_else(images, masks):
    build = partial(Batches, images, masks, seed=3, batch_size=10)
    dropped = 0
    for step in range(40):
        some, none = build(condition_dropout=0.2)[step], build()[step]
        null = (some["condition"] == 1).flatten(1).all(1)
        assert torch.equal(some["condition"][~null], none["condition"][~null])
        assert torch.equal(some["image"], none["image"])
        dropped += int(null.sum())
    assert 50 < dropped < 110  # 80 expected of 400, standard deviation 8


def test_captions_are_token_ids_and_dropped_ones_padding(images, captions):
    batch = Batches(images, captions, seed=0, batch_size=10, flip=False, condition_dropout=0.5)[0]
    assert batch["condition"].dtype == torch.int64
    rows = torch.tensor([IDS.index(name) + 1 for name in batch["ids"]])
    kept = (batch["condition"] == rows[:, None]).all(1)
    assert torch.equal(batch["condition"][~kept], torch.zeros_like(batch["condition"][~kept]))
    assert 0 < kept.sum() < 10
    with pytest.raises(ValueError, match="left and right"):
        Batches(images, captions, seed=0, batch_size=10)


def test_low_res_is_made_from_the_flipped_photograph(images):
    batch = Batches(images, seed=0, batch_size=10, low_res=lambda image, rng: image[::4, ::4])[0]
    assert torch.equal(batch["low_res"], batch["image"][:, :, ::4, ::4])


def test_low_res_draws_differ_between_items_and_steps(images):
    batches = Batches(images, seed=0, batch_size=10, low_res=lambda image, rng: rng.bytes(12) and noisy(image * 0, rng))
    low_res = torch.cat([batches[step]["low_res"] for step in range(3)]).flatten(1)
    assert len(low_res.unique(dim=0)) == 30


def test_a_pair_without_condition_is_named(images, tmp_path):
    few = Shards(write(tmp_path / "few", "mask", IDS[:6], lambda ids: ramps(len(ids)), 4, SIDE))
    with pytest.raises(InputError, match="p6"):
        stored_pairs(images, few)
    assert stored_pairs(images, few, indices=np.arange(6))[0]["condition"].shape == (4, SIDE, SIDE)


def test_uneven_shares_are_refused(images):
    with pytest.raises(InputError, match="multiple of the 3"):
        Batches(images, seed=0, batch_size=4, world=3)


@pytest.mark.parametrize(("count", "fraction", "rows"), [(10, 0.25, [0, 4, 8]), (5, 0.5, [0, 2, 4]), (3, 1, [0, 1, 2])])
def test_subsets_are_the_releases_strides(count, fraction, rows):
    assert subset(count, fraction).tolist() == rows


def test_a_subset_of_any_fraction_lies_inside():
    for count in range(1, 120):
        for fraction in (0.07, 0.1, 0.3, 0.75, 0.9):
            rows = subset(count, fraction)
            assert len(np.unique(rows)) == len(rows)
            assert abs(len(rows) - count * fraction) < 1.001
            assert rows[-1] < count
