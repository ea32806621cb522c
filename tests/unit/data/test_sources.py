"""What shards were packed from: changed files are found, moved ones are not, and nothing is read twice."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from piti.cards import PackCard
from piti.data import packing, sources
from piti.data.packing import pack
from piti.data.shards import Shards
from piti.data.sources import Sources
from piti.store.files import InputError

COUNT = 7
CARD = PackCard(
    dataset="own",
    layout="folder",
    split="train",
    kind="images",
    resolution=8,
    train=COUNT,
    expected=COUNT,
    shard_size=3,
)


def draw(path, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(path, format="bmp")  # all of one size in bytes


@pytest.fixture
def root(tmp_path):
    for number in range(COUNT):
        draw(tmp_path / f"data/images/{number}.jpg", number)
    return tmp_path / "data"


@pytest.fixture
def reads(monkeypatch):
    """Every file whose content is asked for."""
    found, digest = [], sources.head_digest
    digest.cache_clear()
    monkeypatch.setattr(sources, "head_digest", lambda path, *stat: found.append(path) or digest(path, *stat))
    return found


def packed(tmp_path, root, card=CARD):
    index = tmp_path / "shards/index.json"
    pack(card, root, index)
    return index


def changed(root, index):
    found = {}
    for shard in sorted(index.parent.glob("shard-*.h5")):
        found |= Sources(packing.survey(CARD, root).records, "images").changed(shard)
    return found


def test_what_has_changed_is_found(tmp_path, root):
    index = packed(tmp_path, root)
    assert changed(root, index) == {}
    draw(root / "images/2.jpg", 99)  # another picture of the same size
    (root / "images/5.jpg").unlink()
    with open(root / "images/6.jpg", "ab") as file:
        file.write(b" ")
    assert changed(root, index) == {"2": "changed", "5": "gone", "6": "changed"}


def test_moved_and_copied_data_are_the_same_and_are_read_once(tmp_path, root, reads):
    index = packed(tmp_path, root)
    moved = root.rename(tmp_path / "moved")
    reads.clear()
    assert changed(moved, index) == {} and reads == []
    shutil.copytree(moved, tmp_path / "copied", copy_function=shutil.copyfile)  # with times of their own
    assert changed(tmp_path / "copied", index) == {}
    assert len(reads) == COUNT
    assert changed(tmp_path / "copied", index) == {}
    assert len(reads) == COUNT


def test_many_files_are_asked_for_their_size_alone(tmp_path, reads):
    """As many files as it takes: none is opened while nothing has changed."""
    count = 3000
    for number in range(count):
        path = tmp_path / f"data/images/{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number)
    records = packing.survey(PackCard(**vars(CARD) | {"train": count, "expected": count}), tmp_path / "data").records
    known = Sources(records, "images")
    known.remember(tmp_path / "shard-00000.h5", known.stamps(known.paths))
    reads.clear()
    assert known.changed(tmp_path / "shard-00000.h5") == {} and reads == []
    os.utime(tmp_path / "data/images/7.jpg", (0, 0))
    assert Sources(records, "images").changed(tmp_path / "shard-00000.h5") == {}
    assert [os.path.basename(path) for path in reads] == ["7.jpg"]


def test_a_half_finished_pack_is_compared_with_its_sources(tmp_path, root, capsys):
    (root / "images/6.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError):
        packed(tmp_path, root)
    finished = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "shards").glob("shard-*.h5")}
    assert sorted(finished) == ["shard-00000.h5", "shard-00001.h5"]
    draw(root / "images/1.jpg", 77)
    draw(root / "images/6.jpg", 6)
    index = packed(tmp_path, root)
    assert "shard-00000.h5: packed again, 1 of its files have changed since" in capsys.readouterr().err
    again = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "shards").glob("shard-*.h5")}
    assert again["shard-00001.h5"] == finished["shard-00001.h5"]
    with Image.open(root / "images/1.jpg") as image:
        assert np.array_equal(Shards(index)[Shards(index).ids.index("1")], np.asarray(image))
