"""Scenes that are not stored: the ones that would be, in their own order, and whatever the batches' sizes."""

import numpy as np
import pytest
import torch

from piti import scenes
from piti.cards import PackCard, SyntheticConfig
from piti.data import packing
from piti.data.loader import to_range
from piti.data.shards import Shards
from piti.data.synthetic import SyntheticBatches
from piti.store.files import InputError
from piti.train.batches import shrunk

DRAWN = SyntheticConfig(seed=5, resolution=48, style="middle")
COUNT = 24


def batches(batch_size: int, **options) -> SyntheticBatches:
    return SyntheticBatches(DRAWN, seed=1, batch_size=batch_size, resolution=32, **options)


@pytest.mark.parametrize("shrunk_resolution", [0, 16])
def test_they_are_what_drawing_files_and_packing_them_makes(tmp_path, shrunk_resolution):
    scenes.write(tmp_path / "made", "folder", DRAWN.seed, {"train": COUNT}, DRAWN.resolution, DRAWN.style)

    def packed(kind: str, shrunk_resolution: int = 0) -> Shards:
        card = PackCard(
            dataset="web",
            layout="folder",
            split="train",
            kind=kind,
            resolution=32,
            shrunk_resolution=shrunk_resolution,
            expected=COUNT,
        )
        packing.pack(card, tmp_path / "made", tmp_path / kind / "index.json")
        return Shards(tmp_path / kind / "index.json")

    images, captions = packed("images", shrunk_resolution), packed("caption")
    drawn = batches(COUNT, shrunk_resolution=shrunk_resolution)[0]
    assert drawn["ids"] == images.ids
    assert torch.equal(drawn["image"], to_range(images[np.arange(COUNT)]))
    np.testing.assert_array_equal(drawn["condition"], captions[captions.rows(drawn["ids"])])


def test_a_scene_is_the_same_in_batches_of_any_size_and_on_any_process():
    def seen(batches: list[dict], key: str) -> torch.Tensor:
        return torch.cat([batch[key] for batch in batches])

    small = [batches(4)[step] for step in range(4)]
    large = batches(16)[0]
    shared = [batches(16, rank=rank, world=2)[0] for rank in range(2)]
    for key in ("image", "condition"):
        assert torch.equal(seen(small, key), large[key])
        assert torch.equal(seen(shared, key), large[key])
    assert [i for batch in shared for i in batch["ids"]] == large["ids"]


def test_processes_share_a_batch_evenly_or_not_at_all():
    with pytest.raises(InputError, match="batch: found 4, expected a multiple of the 3 processes"):
        batches(4, world=3)


def test_no_scene_comes_twice_and_a_step_can_be_made_again():
    made = batches(8)
    assert len({i for step in range(4) for i in made[step]["ids"]}) == 32
    assert torch.equal(made[3]["image"], batches(8)[3]["image"])


def test_captions_are_dropped_as_often_as_asked_by_seed_and_step():
    some, plain = batches(16, condition_dropout=0.25), batches(16)
    empty = [(some[step]["condition"] == 0).all(dim=1) for step in range(8)]
    assert 0.1 < torch.stack(empty).float().mean() < 0.4
    for step, dropped in enumerate(empty):
        kept = ~dropped
        assert torch.equal(some[step]["condition"][kept], plain[step]["condition"][kept])
    assert len({tuple(dropped.tolist()) for dropped in empty}) > 1


def test_the_upsampler_sees_the_photograph_and_its_small_self():
    batch = batches(4, low_res=lambda image, rng: shrunk(image, rng, 16))[2]
    assert batch["image"].shape == (4, 3, 32, 32) and batch["low_res"].shape == (4, 3, 16, 16)
    assert torch.equal(batch["low_res"], batches(4, shrunk_resolution=16)[2]["image"])
