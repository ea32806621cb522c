"""Statistics of a reference set go out and come in as pytorch-fid and clean-fid have them."""

import contextlib
import itertools
from dataclasses import replace

import numpy as np
import pytest
from cleanfid.fid import frechet_distance

from piti.evaluate import reference
from piti.evaluate.features import Features, Spec
from piti.evaluate.score import score
from piti.store.files import InputError

SPEC = Spec("inception", "pool", 8, "bicubic_float 299", "ab" * 32)
N = 60
NOISE = np.random.default_rng(0).standard_normal((2, N, 8)).astype(np.float32)
IDS = tuple(f"id{i}" for i in range(N))
REAL, FAKE = Features(NOISE[0], IDS, SPEC), Features(NOISE[1] * 2 + 1, IDS, SPEC)


def test_a_reference_goes_out_as_others_read_it_and_scores_as_its_photographs_do(tmp_path):
    reference.write(tmp_path / "r.npz", REAL)
    with np.load(tmp_path / "r.npz") as theirs:  # as both packages do
        mean, covariance = theirs["mu"][:], theirs["sigma"][:]
    expected = frechet_distance(mean, covariance, FAKE.values.mean(0), np.cov(FAKE.values, rowvar=False))
    found = reference.score(reference.read(tmp_path / "r.npz"), FAKE, 10)
    assert found["value"] == pytest.approx(expected, rel=1e-6)
    own = score(REAL, FAKE, 10)
    assert found["value"] == pytest.approx(own["value"]) and found["reference"] == "r.npz"
    assert found["interval"][0] < found["value"] < found["interval"][1] and found["n"] == N


def test_a_reference_of_theirs_comes_in(tmp_path):
    mean, covariance = NOISE[0].mean(0), np.cov(NOISE[0], rowvar=False)
    np.savez(tmp_path / "theirs.npz", mu=mean, sigma=covariance)
    found = reference.score(reference.read(tmp_path / "theirs.npz"), FAKE, 10)
    assert found["value"] == pytest.approx(score(REAL, FAKE, 10)["value"], rel=1e-5)


@pytest.mark.parametrize("count, dtype", [(4, np.float64), (60, np.float32), (60, np.float16), (4, np.float32)])
def test_a_covariance_of_few_pictures_or_few_digits_comes_in(tmp_path, count, dtype):
    """Rounding makes some of its eigenvalues negative."""
    wide = np.random.default_rng(1).gamma(0.5, size=(count, 200)).astype(np.float32)
    np.savez(tmp_path / "r.npz", mu=wide.mean(0), sigma=np.cov(wide, rowvar=False).astype(dtype))
    reference.read(tmp_path / "r.npz")


@pytest.mark.parametrize(
    "content, words",
    [
        ({"mu": np.zeros(8)}, "found no statistics"),
        ({"mu": np.zeros(8), "sigma": np.zeros((8, 7))}, r"found mu \(8,\) and sigma \(8, 7\)"),
        ({"mu": np.zeros((8, 1)), "sigma": np.eye(8)}, "found mu"),
        ({"mu": np.full(8, np.nan), "sigma": np.eye(8)}, "found values that are not finite"),
        ({"mu": np.array([{}] * 8), "sigma": np.eye(8)}, "found no statistics"),
        ({"mu": np.zeros(8) + 0j, "sigma": np.eye(8)}, "mu: found complex128, expected real numbers"),
        ({"mu": np.zeros(8), "sigma": np.eye(8) * 1j}, "sigma: found complex128, expected real numbers"),
        ({"mu": np.zeros(8), "sigma": np.eye(8).astype(str)}, "sigma: found <U32, expected real numbers"),
        ({"mu": np.zeros(8), "sigma": -np.cov(NOISE[0], rowvar=False)}, "sigma: found variances from -.* to -"),
        (
            {"mu": np.zeros(8), "sigma": np.diag([1] * 7 + [-0.1])},
            r"sigma: found variances from -0\.1 to 1, expected none",
        ),
        ({"mu": np.zeros(8), "sigma": np.tri(8)}, "sigma: found no symmetric matrix, expected a covariance"),
        ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, "found mu"),
        (b"text", "found no statistics"),
        (None, "found no statistics"),
    ],
)
def test_what_is_no_reference(tmp_path, content, words):
    path = tmp_path / "r.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        np.savez(path, **content)
    with pytest.raises(InputError, match=rf"r\.npz: {words}") as refusal:
        reference.read(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_a_reference_with_any_byte_changed_is_read_or_refused_in_one_line(tmp_path, write):
    path = tmp_path / "r.npz"
    write(path, mu=NOISE[0, 0], sigma=np.cov(NOISE[0], rowvar=False).astype(np.float32))
    whole = path.read_bytes()
    for at, value in itertools.product(range(len(whole)), b"\x01("):
        path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
        with contextlib.suppress(InputError):
            reference.read(path)


def test_another_width_or_too_few_are_refused(tmp_path):
    reference.write(tmp_path / "r.npz", REAL)
    read = reference.read(tmp_path / "r.npz")
    with pytest.raises(InputError, match="found 8 features, expected 9 of inception"):
        reference.score(read, replace(FAKE, values=np.zeros((N, 9)), spec=replace(SPEC, width=9)), 10)
    with pytest.raises(InputError, match="found 60 images, expected at least 100"):
        reference.score(read, FAKE, 100)
    with pytest.raises(InputError, match="features: samples: found values that are not finite"):
        reference.score(read, replace(FAKE, values=FAKE.values * np.float32("nan")), 10)
