"""Pictures of a trained model: the same whatever they are drawn with, and interrupted sampling goes on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.unit.sample.conftest import COUNT, ENCODER
from tests.unit.train import tiny

from piti.cards import SampleCard, SamplingConfig
from piti.conditions import CONDITIONS
from piti.data.shards import Shards
from piti.networks.piti import PITI
from piti.sample import diffusion as sampling
from piti.seeds import ImageNoise


def card(name="base", shard_size=3, **config):
    upsampler = name == "upsampler"
    return SampleCard(
        model="",
        conditions="",
        sampling=SamplingConfig(**{"base_respacing": "3", "upsampler_respacing": "3"} | config),
        seed=4,
        resolution=tiny.SIDE if upsampler else tiny.BASE_SIDE,
        unet=tiny.UPSAMPLER if upsampler else tiny.UNET,
        encoder=ENCODER,
        noise_schedule="squaredcos_cap_v2",
        diffusion_steps=100,
        low_res="base" if upsampler else "",
        shard_size=shard_size,
    )


def draw(folder, card, weights, shards, batch_size=4):
    """Sample by the step's own function; the pictures by id."""
    low_res = shards["small"] if card.low_res else None
    model = weights / ("upsampler" if card.low_res else "base")
    sampling.sample(card, folder / "index.json", model, shards["mask"], low_res, batch_size, torch.device("cpu"))
    made = Shards(folder / "index.json", "images")
    return dict(zip(made.ids, made[range(len(made))].astype(int), strict=True))


def test_noise_of_an_image_is_its_own():
    ids = [f"scene-{i}" for i in range(5)]

    def draws(*batches):
        """Two draws for every image, drawn in these batches."""
        found = {}
        for batch in batches:
            noise = ImageNoise(4, "sample", batch, (3, 8, 8), torch.device("cpu"))
            found |= dict(zip(batch, zip(noise(), noise(), strict=True), strict=True))
        return found

    whole = draws(ids)
    for other in (draws(ids[::-1]), draws(*([i] for i in ids)), draws(ids[3:], ids[:3])):
        for name in ids:
            assert all(torch.equal(a, b) for a, b in zip(whole[name], other[name], strict=True))
    assert len({tensor.sum().item() for pair in whole.values() for tensor in pair}) == 10


@pytest.mark.parametrize("name", ["base", "upsampler"])
def test_pictures_do_not_depend_on_batch_or_shard(weights, shards, tmp_path, name):
    whole = draw(tmp_path / "whole", card(name, shard_size=100), weights, shards, batch_size=100)
    small = draw(tmp_path / "small", card(name, shard_size=2), weights, shards, batch_size=1)
    assert whole.keys() == small.keys()
    for key, picture in whole.items():
        assert np.abs(picture - small[key]).max() <= 1, key  # one of 256 levels, where a value lies on an edge
        assert np.abs(picture - small[key]).mean() < 0.01, key
    pictures = np.stack(list(whole.values()))
    assert pictures.std(axis=0).mean() > 5  # they differ from one another


def sampler(weights, **config):
    return sampling.Sampler(card(**config), weights / "base", "mask", torch.device("cpu"))


@pytest.fixture(scope="module")
def conditions(shards):
    stored = Shards(shards["mask"])
    return torch.from_numpy(CONDITIONS["mask"].encode(stored[range(COUNT)]))


@pytest.mark.parametrize("method", ["ancestral", "ddim"])
def test_the_order_of_a_batch_changes_no_picture(weights, conditions, method):
    ids, order = [str(i) for i in range(COUNT)], [3, 0, 6, 2, 5, 1, 4]
    draw_ids = sampler(weights, base_sampler=method, eta=0.5)
    pictures = draw_ids(ids, conditions)
    torch.testing.assert_close(draw_ids([ids[i] for i in order], conditions[order]), pictures[order], rtol=0, atol=1e-3)


def test_no_guidance_is_the_conditional_model(weights, conditions):
    """w = 0 never asks for the null condition; what a small w draws goes there as w goes to 0."""
    ids = [str(i) for i in range(COUNT)]
    plain = sampler(weights, guidance=0.0)
    assert plain.null is None
    expected = plain(ids, conditions)
    torch.testing.assert_close(
        sampler(weights, guidance=1e-12, normalise="none")(ids, conditions), expected, rtol=0, atol=1e-3
    )
    assert (sampler(weights, guidance=1.0)(ids, conditions) - expected).abs().mean() > 0.01


def test_the_condition_decides_the_picture(weights, conditions):
    ids, draw_ids = [str(i) for i in range(COUNT)], sampler(weights)
    assert (draw_ids(ids, conditions) - draw_ids(ids, conditions.roll(1, 0))).abs().mean() > 0.01


def test_conditions_are_encoded_once_an_image_and_the_null_condition_once(weights, shards, tmp_path, monkeypatch):
    sizes, encode = [], PITI.encode
    monkeypatch.setattr(PITI, "encode", lambda model, c: sizes.append(tuple(c.shape)) or encode(model, c))
    draw(tmp_path / "base", card(guidance=0.5), weights, shards, batch_size=3)
    assert [shape[0] for shape in sizes] == [1, 3, 3, 1]  # null, then batches of the three shards
    sizes.clear()
    draw(tmp_path / "upsampler", card("upsampler"), weights, shards, batch_size=3)
    assert [shape[0] for shape in sizes] == [3, 3, 1]  # the upsampler is not guided


def test_base_pictures_are_cut_to_eight_bits_not_rounded(weights, shards, tmp_path, monkeypatch):
    """The release hands its base pictures to the upsampler that way (facts 1.5)."""
    just_below = torch.full((1, 3, tiny.BASE_SIDE, tiny.BASE_SIDE), 2 * (100 + 0.9) / 255 - 1)
    monkeypatch.setattr(sampling.Sampler, "__call__", lambda self, ids, *_: just_below.expand(len(ids), -1, -1, -1))
    pictures = draw(tmp_path, card(), weights, shards)
    assert {int(level) for picture in pictures.values() for level in np.unique(picture)} == {100}


def test_sampling_interrupted_after_a_shard_goes_on(weights, shards, tmp_path, monkeypatch):
    whole, batches, call = draw(tmp_path / "whole", card(), weights, shards), [], sampling.Sampler.__call__

    def interrupted(*args):
        batches.append(1)
        if len(batches) == 2:
            raise KeyboardInterrupt
        return call(*args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(sampling.Sampler, "__call__", interrupted)
        draw(tmp_path / "parts", card(), weights, shards)
    first = tmp_path / "parts/shard-00000.h5"
    assert list((tmp_path / "parts").glob("shard-*")) == [first]
    before = first.stat().st_mtime_ns
    parts = draw(tmp_path / "parts", card(), weights, shards)
    assert first.stat().st_mtime_ns == before  # not drawn again
    assert parts.keys() == whole.keys()
    assert all(np.array_equal(parts[key], whole[key]) for key in whole)  # the batches are the same ones


def test_another_seed_draws_other_pictures(weights, conditions):
    ids = [str(i) for i in range(COUNT)]
    other = sampling.Sampler(replace(card(), seed=5), weights / "base", "mask", torch.device("cpu"))
    assert (other(ids, conditions) - sampler(weights)(ids, conditions)).abs().mean() > 0.01


def test_a_model_may_see_void_in_the_colour_of_a_last_class(weights):
    """`void` of the card does what painting void in that colour does, and changes nothing where there is none."""
    labels = np.zeros((1, tiny.SIDE, tiny.SIDE), np.uint8)
    labels[:, :4] = 5
    black, last = (
        sampling.Sampler(replace(card(), void=void), weights / "base", "mask", torch.device("cpu")) for void in (0, 183)
    )
    painted = np.where(labels == 0, np.uint8(183), labels)
    assert np.array_equal(last.draw(["a"], labels), black.draw(["a"], painted))
    assert not np.array_equal(last.draw(["a"], labels), black.draw(["a"], labels))
    assert np.array_equal(last.draw(["a"], labels + np.uint8(1)), black.draw(["a"], labels + np.uint8(1)))
