"""Pictures drawn for a figure alone are those that the whole test set would have."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.unit.sample.test_sampling import card, draw

from piti.cards import SamplingConfig, Variant, VariantsCard
from piti.data.shards import Shards
from piti.sample import diffusion as sampling
from piti.sample.variants import draw_variants

SHORT = SamplingConfig(base_respacing="3", upsampler_respacing="3")
STRONG = replace(SHORT, guidance=4.0, normalise="none")


def few(**more):
    base, upsampler = card(), card("upsampler")
    own = {"seed": 0, "sampling": SamplingConfig()}
    variants = (Variant(name="a-4", seed=4, sampling=SHORT), Variant(name="b-9", seed=9, sampling=STRONG))
    return VariantsCard(
        base=replace(base, **own), upsampler=replace(upsampler, **own), variants=variants, images=3, seed=0, **more
    )


def variants(folder, card, weights, shards):
    output = folder / "index.json"
    draw_variants(card, output, weights / "base", weights / "upsampler", shards["mask"], 2, torch.device("cpu"))
    made = Shards(output, "images")
    return dict(zip(made.ids, made[range(len(made))].astype(int), strict=True))


@pytest.mark.parametrize("seed, config, name", [(4, SHORT, "a-4"), (9, STRONG, "b-9")])
def test_they_equal_those_of_the_whole_test_set(tmp_path, weights, shards, seed, config, name):
    own = {"seed": seed, "sampling": config}
    draw(tmp_path / "base", replace(card(), **own), weights, shards)
    low_res = {**shards, "small": tmp_path / "base" / "index.json"}
    whole = draw(tmp_path / "whole", replace(card("upsampler"), **own), weights, low_res)
    made = {key: picture for key, picture in variants(tmp_path / "few", few(), weights, shards).items() if name in key}
    assert len(made) == 3
    for key, picture in made.items():
        assert np.abs(picture - whole[key.removesuffix(f"/{name}")]).max() <= 1, key  # of 256 levels: another batch


def test_chosen_ids_take_the_place_of_the_draw(tmp_path, weights, shards):
    made = variants(tmp_path, few(ids=("scene-5", "scene-0")), weights, shards)
    assert list(made) == ["scene-5/a-4", "scene-0/a-4", "scene-5/b-9", "scene-0/b-9"]
    assert np.abs(made["scene-5/a-4"] - made["scene-5/b-9"]).mean() > 1


def test_interrupted_after_a_variant_it_goes_on(tmp_path, weights, shards, monkeypatch):
    whole, calls, call = variants(tmp_path / "whole", few(), weights, shards), [], sampling.Sampler.__call__

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 5:  # two batches of two stages for the first variant
            raise KeyboardInterrupt
        return call(*args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(sampling.Sampler, "__call__", interrupted)
        variants(tmp_path / "parts", few(), weights, shards)
    assert [path.name for path in (tmp_path / "parts").glob("shard-*")] == ["shard-00000.h5"]
    parts = variants(tmp_path / "parts", few(), weights, shards)
    assert parts.keys() == whole.keys() and all(np.array_equal(parts[key], whole[key]) for key in whole)
