"""Shards: every kind round-trips in any order, interrupted writing continues, and broken files are refused by name."""

import json
import multiprocessing
import os
import pickle
import subprocess
import sys

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.house import ROOT

from piti.conditions import CONDITIONS, STORED, stored
from piti.data.shards import Shards, write
from piti.store.files import InputError, write_failure

SIDE, COUNT = 12, 11  # a side that is no multiple of 8, a count that is no multiple of the shard size


def items(kind, count=COUNT):
    high = 2 if kind == "sketch" else 256
    return np.random.default_rng(0).integers(0, high, (count, *stored(kind).shape(SIDE)), dtype=np.uint8)


def ids(count=COUNT):
    return [f"höhe/{i:03d}" for i in range(count)]


def maker(array, calls=None, stop_at=None):
    def make(batch):
        if calls is not None:
            calls.append(list(batch))
        if stop_at in batch:
            raise KeyboardInterrupt
        return array[[ids().index(i) for i in batch]]

    return make


def written(folder, kind="images", **options):
    return write(folder, kind, ids(), maker(items(kind)), shard_size=4, resolution=SIDE, **options)


@pytest.mark.parametrize("kind", [*CONDITIONS, *STORED])
def test_every_kind_round_trips(tmp_path, kind):
    shards = Shards(written(tmp_path, kind, batch_size=3, attributes={"num_classes": 7}), kind)
    array = items(kind)
    assert (len(shards), shards.kind, shards.resolution) == (COUNT, kind, SIDE)
    assert shards.attributes == {"num_classes": 7}
    assert shards.ids == ids()
    assert np.array_equal(shards[list(range(COUNT))], array)
    assert np.array_equal(shards[5], array[5])
    assert shards[[]].shape[0] == 0


def test_another_shard_size_goes_on_and_leaves_nothing_of_the_first(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, "images", ids(), maker(items("images"), stop_at=ids()[-1]), shard_size=2, resolution=SIDE)
    assert len(list(tmp_path.glob("shard-*"))) == 5
    shards = Shards(written(tmp_path))
    assert np.array_equal(shards[list(range(COUNT))], items("images"))
    assert len(list(tmp_path.glob("shard-*"))) == 3


def test_batches_come_in_the_order_asked(tmp_path):
    shards, array = Shards(written(tmp_path)), items("images")

    @given(st.lists(st.integers(0, COUNT - 1), max_size=20))
    def check(rows):
        assert np.array_equal(shards[rows], array[np.array(rows, dtype=int)])

    check()
    with pytest.raises(IndexError):
        shards[[0, COUNT]]


def test_sketch_bits_are_packed(tmp_path):
    index = written(tmp_path, "sketch")
    assert Shards(index)._dataset(0).shape == (4, SIDE, 2)


def test_rows_join_by_id(tmp_path):
    shards = Shards(written(tmp_path))
    assert shards.rows(["höhe/007", "höhe/000"]).tolist() == [7, 0]
    with pytest.raises(InputError, match="höhe/999"):
        shards.rows(["höhe/001", "höhe/999"])


def test_an_interrupted_run_continues_shard_by_shard(tmp_path):
    array = items("images")
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, "images", ids(), maker(array, stop_at="höhe/006"), shard_size=4, resolution=SIDE, batch_size=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["shard-00000.h5"]  # no index, no half shard
    calls, done = [], []
    index = write(tmp_path, "images", ids(), maker(array, calls), 4, SIDE, batch_size=2, progress=done.append)
    assert calls == [ids()[4:6], ids()[6:8], ids()[8:10], ids()[10:]]
    assert sum(done) == COUNT
    assert np.array_equal(Shards(index)[list(range(COUNT))], array)


def test_a_whole_shard_of_other_items_is_made_again(tmp_path):
    written(tmp_path)
    calls = []
    (tmp_path / "shard-00002.h5").write_bytes(b"no HDF5")
    others = [*ids()[:4], "other", *ids()[5:]]
    write(tmp_path, "images", others, lambda b: calls.extend(b) or items("images")[: len(b)], 4, SIDE)
    assert calls == others[4:]


def test_a_wrong_array_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="expected uint8"):
        write(tmp_path, "mask", ids(), lambda batch: items("images"), 4, SIDE)
    assert not list(tmp_path.iterdir())


def test_a_damaged_shard_is_made_again(tmp_path):
    index, calls = written(tmp_path), []
    before = index.with_name("shard-00001.h5").read_bytes()
    flip(tmp_path)
    write(tmp_path, "images", ids(), maker(items("images"), calls), 4, SIDE)
    assert calls == [ids()[4:8]]
    assert index.with_name("shard-00001.h5").read_bytes() == before


FULL = """
import resource, sys
import numpy
from piti.data.shards import write
size, folder = int(sys.argv[1]), sys.argv[2]
if size:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
write(folder, "images", ["a", "b", "c"], lambda ids: numpy.ones((len(ids), 64, 64, 3), "uint8"), 3, 64, batch_size=1)
"""


def full(folder, size=0) -> tuple[int, str]:
    """Exit code and last line on stderr of a process that writes a shard of 39 kB where there is less room."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", FULL, str(size), str(folder)]
    run = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return run.returncode, run.stderr.splitlines()[-1]


@pytest.mark.parametrize("share", [0.001, 0.3, 0.6, 0.9999])
def test_a_disk_that_becomes_full_is_an_error_and_not_a_crash(tmp_path, share):
    """At the first bytes, between, or when HDF5 closes its file: told of it, HDF5 crashed as the process ended."""
    write(tmp_path, "images", ["a", "b", "c"], lambda i: np.ones((len(i), 64, 64, 3), "uint8"), 3, 64, batch_size=1)
    size = (tmp_path / "shard-00000.h5").stat().st_size
    assert full(tmp_path / "limited", int(share * size)) == (1, "OSError: [Errno 27] File too large")
    assert not list((tmp_path / "limited").iterdir())


@pytest.fixture
def small_disk(tmp_path):
    """A folder with room for 24 kB."""
    (tmp_path / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", tmp_path / "disk"]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted")
    yield tmp_path / "disk"
    subprocess.run(["umount", tmp_path / "disk"], check=True)


def test_a_small_disk(small_disk):
    assert full(small_disk / "shards") == (1, "OSError: [Errno 28] No space left on device")


@pytest.mark.parametrize(("names", "found"), [([], "none"), (["a", "b", "a"], "'a' twice")])
def test_bad_ids_are_refused(tmp_path, names, found):
    with pytest.raises(InputError, match=found):
        write(tmp_path, "images", names, maker(items("images")), 4, SIDE)


def truncate(folder):
    path = folder / "shard-00001.h5"
    path.write_bytes(path.read_bytes()[:-100])


def truncate_with_index(folder):
    truncate(folder)
    entry = json.loads((folder / "index.json").read_text())
    entry["shards"][1]["bytes"] -= 100
    (folder / "index.json").write_text(json.dumps(entry))


def flip(folder):
    """One bit in the last item of a shard that its index still describes."""
    path = folder / "shard-00001.h5"
    with h5py.File(path) as file:
        place = file["images"].id.get_chunk_info(3).byte_offset + 100
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def miscount(folder):
    entry = json.loads((folder / "index.json").read_text())
    entry["count"] += 1
    (folder / "index.json").write_text(json.dumps(entry))


def miscount_shard(folder):
    entry = json.loads((folder / "index.json").read_text())
    entry["count"] += 1
    entry["shards"][1]["count"] += 1
    (folder / "index.json").write_text(json.dumps(entry))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (truncate, r"shard-00001.h5: found \d+ bytes, expected \d+ bytes"),
        (truncate_with_index, "shard-00001.h5: found no readable HDF5 shard"),
        (flip, "shard-00001.h5: found no readable HDF5 shard"),
        (lambda folder: (folder / "shard-00001.h5").unlink(), "shard-00001.h5: found no such file"),
        (miscount, "count: found 11 items in its shards, expected 12"),
        (miscount_shard, r"shard-00001.h5: shapes of ids and items: found \(4, 4"),
        (lambda folder: (folder / "index.json").unlink(), "no such file"),
        (lambda folder: (folder / "index.json").write_text('{"kind": "images"}'), "key 'resolution': not found"),
        (lambda folder: write_failure([folder / "index.json"], "diverged"), r"failure record \(diverged\)"),
    ],
)
def test_broken_artefacts_are_refused_by_name(tmp_path, harm, message):
    index = written(tmp_path)
    harm(tmp_path)
    with pytest.raises(InputError, match=message) as refusal:
        Shards(index)[list(range(COUNT))]
    assert "\n" not in str(refusal.value)


def test_another_kind_is_refused(tmp_path):
    with pytest.raises(InputError, match="kind: found 'images', expected 'mask'"):
        Shards(written(tmp_path), "mask")


def _read(shards, row):
    return shards[row]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_read_for_themselves(tmp_path, method):
    shards, array = Shards(written(tmp_path)), items("images")
    assert np.array_equal(shards[[0, 9]], array[[0, 9]])  # files are open before the fork
    with multiprocessing.get_context(method).Pool(2) as pool:
        results = pool.starmap(_read, [(shards, row) for row in range(COUNT)])
    assert np.array_equal(results, array)
    assert np.array_equal(pickle.loads(pickle.dumps(shards))[3], array[3])


def test_sigterm_while_hdf5_writes_ends_as_sigterm(tmp_path):
    """HDF5 dies where it is told of an error; a handler's exit may come in the middle of its writing."""
    script = """
import sys, numpy as np
from pathlib import Path
from piti.data import shards
class Ended(shards._Disk):
    def write(self, data):
        with self._remembering():
            sys.exit(143)
        return len(data)
shards._Disk = Ended
pictures = lambda ids: np.zeros((len(ids), 8, 8, 3), np.uint8)
shards.write(Path(sys.argv[1]), "images", ["a", "b"], pictures, 2, 8)
"""
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True)
    assert done.returncode == 143, done.stderr
