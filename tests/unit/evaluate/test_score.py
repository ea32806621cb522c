import json

import numpy as np
import pytest

from piti.evaluate import frechet, kid
from piti.evaluate.features import Features, Spec
from piti.evaluate.score import difference, score
from piti.store.files import InputError

SPEC = Spec("inception", "pool", 8, "bicubic_float 299", "ab" * 32)
N = 60
IDS = tuple(f"id{i}" for i in range(N))
NOISE = np.random.default_rng(0).standard_normal((3, N, 8)).astype(np.float32)
REAL = Features(NOISE[0], IDS, SPEC)
NEAR = Features(NOISE[1] + np.float32(0.2), IDS, SPEC)
FAR = Features(NOISE[1] * np.float32(1.5) + np.float32(0.6), IDS, SPEC)


def test_a_score_says_all_there_is_to_know():
    got = json.loads(json.dumps(score(REAL, NEAR, min_images=10)))
    assert got["value"] == pytest.approx(frechet.distance(REAL.values, NEAR.values))
    assert got["kid"] == pytest.approx(kid.distance(REAL.values, NEAR.values))
    assert got["interval"][0] < got["value"] < got["interval"][1]
    assert got["debiased"] < got["value"]
    assert (got["n"], got["extractor"]["name"], got["reference"]) == (N, "inception", REAL.digest)


def test_order_does_not_matter_and_the_pairs_do():
    order = np.random.default_rng(1).permutation(N)
    shuffled = Features(NEAR.values[order], tuple(IDS[i] for i in order), SPEC)
    assert score(REAL, shuffled, 1) == score(REAL, NEAR, 1)
    mismatched = Features(NEAR.values[order], IDS, SPEC)
    assert score(REAL, mismatched, 1)["value"] == pytest.approx(score(REAL, NEAR, 1)["value"])
    assert score(REAL, mismatched, 1)["pseudo_values"] != score(REAL, NEAR, 1)["pseudo_values"]


def test_difference_is_paired():
    near, far = score(REAL, NEAR, 1), score(REAL, FAR, 1)
    got = difference(far, near)
    assert got.value == pytest.approx(far["value"] - near["value"])
    assert 0 < got.interval()[0] < got.value < got.interval()[1]
    nothing = difference(near, near)
    assert nothing.value == nothing.standard_error == 0


@pytest.mark.parametrize(
    ("fake", "min_images", "message"),
    [
        (Features(NOISE[1][:50], IDS[:50], SPEC), 1, "n: found 50 samples, expected one for each of 60"),
        (NEAR, 100, "n: found 60 images, expected at least 100"),
        (Features(NOISE[1], ("x", *IDS[1:]), SPEC), 1, "ids: found id0 in one set only"),
        (Features(NOISE[1], IDS, Spec("vgg16", "pool", 8, "bicubic_float 299", "ab" * 32)), 1, "extractor"),
        (Features(NOISE[1] * np.float32("nan"), IDS, SPEC), 1, "not finite"),
    ],
)
def test_refuses_sets_that_cannot_be_compared(fake, min_images, message):
    with pytest.raises(InputError, match=message):
        score(REAL, fake, min_images)


def test_refuses_differences_of_unlike_scores():
    other_reference = score(NEAR, FAR, 1)
    with pytest.raises(InputError, match=r"reference: found .* expected the same"):
        difference(score(REAL, FAR, 1), other_reference)
    with pytest.raises(InputError, match="seed"):
        difference(score(REAL, FAR, 1), score(REAL, NEAR, 1, seed=1))
    wide, narrow = score(REAL, NEAR, 1), score(REAL, NEAR, 1)
    narrow["extractor"] = narrow["extractor"] | {"layer": "early", "width": 4}
    with pytest.raises(InputError, match="extractor: layer, width: found pool, 8 and early, 4, expected the same"):
        difference(wide, narrow)


def test_two_images_are_too_few_whatever_is_asked():
    pair = [Features(f.values[:2], f.ids[:2], f.spec) for f in (REAL, NEAR)]
    with pytest.raises(InputError, match="found 2 images, expected at least 3"):
        score(*pair, min_images=2)
