import numpy as np
import pytest

from piti.evaluate.features import Features, Spec, read_features, write_features
from piti.store.files import InputError

SPEC = Spec("inception", "pool", 3, "bicubic_float 299", "ab" * 32)


def features():
    values = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    return Features(values, ("a", "b", "é/3", "d"), SPEC)


def test_round_trip(tmp_path):
    path = tmp_path / "features.safetensors"
    write_features(path, features())
    got = read_features(path)
    np.testing.assert_array_equal(got.values, features().values)
    assert (got.ids, got.spec, got.digest) == (features().ids, SPEC, features().digest)


def test_digest_follows_values_and_ids():
    original = features()
    changed = Features(original.values + np.float32(1e-3), original.ids, SPEC)
    renamed = Features(original.values, ("a", "b", "c", "d"), SPEC)
    assert len({original.digest, changed.digest, renamed.digest}) == 3


@pytest.mark.parametrize("damage", ["truncated", "other", "missing", "ids", "about"])
def test_refuses_what_is_not_whole(tmp_path, damage):
    path = tmp_path / "features.safetensors"
    good = features()
    write_features(path, good if damage != "ids" else Features(good.values, ("a", "b"), SPEC))
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-5])
    if damage == "other":
        path.write_text("no features")
    if damage == "about":
        path.write_bytes(path.read_bytes().replace(b"ids", b'i"s'))
    if damage == "missing":
        path.unlink()
    with pytest.raises(InputError, match=r"features.safetensors: .*(found|shape)") as refusal:
        read_features(path)
    assert "\n" not in str(refusal.value)
