"""Edited photographs: under an unedited map they are the reconstruction, and what is said about them is true."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.unit.sample.test_sampling import card

from piti.cards import Edit, EditsCard, SamplingConfig
from piti.data.edits import segment
from piti.data.shards import Shards, write
from piti.sample.edits import choose, edit_samples, errors
from piti.store.files import InputError

CPU = torch.device("cpu")
STEPS = SamplingConfig(base_sampler="ddim", guidance=0.0, base_respacing="20", upsampler_respacing="3")


def edited(folder, weights, shards, **edits):
    """The pictures by name, and what the index says about them."""
    edits = EditsCard(
        base=replace(card(), sampling=STEPS), upsampler=replace(card("upsampler"), sampling=STEPS), edits=edits, seed=0
    )
    output = folder / "index.json"
    edit_samples(edits, output, weights / "base", weights / "upsampler", shards["mask"], shards["images"], CPU)
    made = Shards(output, "images")
    return dict(zip(made.ids, made[range(len(made))], strict=True)), made.attributes


@pytest.fixture
def label(shards):
    """A class with a segment in the first scene."""
    labels = Shards(shards["mask"])[0]
    return int(np.bincount(labels.ravel()).argmax())


def test_the_same_map_gives_the_reconstruction_and_another_does_not(tmp_path, weights, shards, label):
    same = Edit("change", label, to=label, image="scene-0")
    made, about = edited(tmp_path, weights, shards, same=same, other=replace(same, to=255))
    assert np.array_equal(made["same/edited"], made["same/reconstruction"])
    assert np.array_equal(made["same/edited_condition"], made["same/condition"])
    assert not np.array_equal(made["other/edited"], made["other/reconstruction"])
    changed = (made["other/edited_condition"] != made["other/condition"]).any(axis=-1)
    assert np.array_equal(changed, segment(Shards(shards["mask"])[0], label))
    photographs = Shards(shards["images"])
    assert np.array_equal(made["same/original"], photographs[int(photographs.rows(["scene-0"])[0])])
    assert about["captions"]["same/original"] == "same" and "n = 2 photographs at 16 px" in about["footer"]


def test_errors_are_those_of_known_pictures():
    originals = np.zeros((2, 2, 2, 3), np.uint8)
    returned, made = originals.copy(), originals.copy()
    returned[1] = 51  # a fifth of the range
    made[:, 0, 0] = 255  # where the map changes
    kept = np.ones((2, 4, 4), bool)
    kept[:, 1, 1] = False  # one pixel is enough for its cell
    said = errors(["a", "b"], originals, returned, made, kept)
    assert said["captions"]["a/reconstruction"] == "MSE 0, 100.0 dB"
    assert said["captions"]["b/reconstruction"] == "MSE 0.04, 14.0 dB"
    assert said["captions"]["b/edited"] == "unedited part: 100.0 dB"
    assert "reconstruction MSE 0.02 (17.0 dB)" in said["footer"]


@pytest.fixture
def maps(tmp_path):
    """Label maps: houses (26) in two images, a tree that is too small to be picked, and plain sky."""
    labels = np.full((4, 10, 10), 3, np.uint8)
    labels[0, 2:6, 2:6] = labels[1, 5:8, 5:9] = 26
    labels[2, 0, 0] = 5
    ids = ["house", "home", "tree", "sky"]
    return Shards(write(tmp_path / "maps", "mask", ids, lambda w: labels[[ids.index(i) for i in w]], 9, 10))


@pytest.mark.parametrize("seed", range(4))
def test_images_fit_their_edit_and_none_is_taken_twice(maps, seed):
    wanted = {"gone": Edit("remove", 26), "more": Edit("paste", 26)}
    found = dict(choose(wanted, maps, seed))
    assert found["gone"].image in ("house", "home") and 26 not in found["gone"].after
    assert found["more"].image in ("tree", "sky") and (found["more"].after == 26).any()
    assert (found["more"].after == 26).sum() != (found["gone"].before == 26).sum()  # of the other house
    assert {name: one.image for name, one in choose(wanted, maps, seed)} == {n: one.image for n, one in found.items()}


def test_named_images_are_taken(maps):
    found = dict(choose({"more": Edit("paste", 26, image="tree", other="home")}, maps, 0))["more"]
    assert found.image == "tree" and np.array_equal(found.after == 26, maps[1] == 26)


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (Edit("remove", 5), "found no image whose largest segment of class 5 takes 2% to 40% (it), expected one"),
        (Edit("remove", 5, image="sky"), "it: image sky: found no class 5, expected a segment of it"),
        (Edit("remove", 5, image="sea"), "id 'sea': not found"),
    ],
)
def test_an_edit_that_no_image_fits_is_refused(maps, edit, line):
    with pytest.raises(InputError) as error:
        dict(choose({"it": edit}, maps, 0))
    assert line in str(error.value)
