"""Packing by several processes: the bytes and the words of one, and nobody left when it is killed."""

import os
import signal
import time
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from piti.cards import PackCard
from piti.data import packing
from piti.data.packing import pack
from piti.scenes.write import write
from piti.store.files import InputError

COUNT = 10


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A synthetic data set, two of its photographs damaged in a way that decoders survive."""
    root = tmp_path_factory.mktemp("data") / "coco"
    write(root, "coco_stuff", seed=1, counts={"train": COUNT}, resolution=48)
    for number in (3, 8):
        path = root / f"train2017/{number:012d}.jpg"
        content = bytearray(path.read_bytes())
        content[len(content) // 2 : len(content) // 2 + 100] = bytes(100)
        path.write_bytes(content)
    return root


def card(kind="images", shrunk_resolution=0):
    return PackCard(
        dataset="coco",
        layout="coco_stuff",
        split="train",
        kind=kind,
        resolution=32,
        shrunk_resolution=shrunk_resolution,
        num_classes=183,
        expected=COUNT,
        shard_size=4,
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(("kind", "shrunk_resolution"), [("images", 0), ("images", 16), ("mask", 0), ("instances", 0)])
def test_the_bytes_do_not_depend_on_the_number_of_processes(tmp_path, capsys, root, kind, shrunk_resolution):
    made, said = [], []
    for threads in (1, 2, 3):
        pack(card(kind, shrunk_resolution), root, tmp_path / f"{threads}/index.json", threads)
        made.append(contents(tmp_path / f"{threads}"))
        said.append(capsys.readouterr().err)
    assert made[0] == made[1] == made[2]
    assert said[0] == said[1] == said[2]
    if kind == "images":
        assert "read all the same: 2 (000000000003.jpg, 000000000008.jpg)" in said[0]


@pytest.mark.parametrize("threads", [1, 2])
def test_all_bad_files_are_named_at_once(tmp_path, capsys, threads):
    for number in range(6):
        path = tmp_path / f"images/{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(path)
        if number in (1, 4):
            path.write_text("text")
    own = PackCard(dataset="own", layout="folder", split="train", kind="images", resolution=8, train=6, expected=6)
    with pytest.raises(InputError, match=r"found 2 faults, expected none; the first: .*images/1\.png"):
        pack(own, tmp_path, tmp_path / "packed/index.json", threads)
    lines = [line for line in capsys.readouterr().err.splitlines() if "not a whole image" in line]
    assert [next(i for i in range(6) if f"images/{i}.png" in line) for line in lines] == [1, 4]
    assert not list((tmp_path / "packed").glob("*"))


def kill_itself(_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_photographs_alone_are_one_line_and_not_one_for_each(root):
    records = [replace(record, parts={}) for record in packing.survey(card(), root).records]
    (line,) = packing.faults(card("mask"), records)
    assert line.startswith("coco (train): labels: found none, expected one for each photograph; to leave out a task")


def test_a_folder_that_changes_meanwhile_gives_no_index(tmp_path, root, monkeypatch):
    """Somebody else's run removes what was extracted: what was found at first may be some of it only."""
    found = packing.survey(card(), root)
    some = [found, replace(found, records=found.records[:-2])]
    for order in (some, some[::-1]):
        looks = iter(order)
        monkeypatch.setattr(packing, "survey", lambda *_, looks=looks: next(looks))
        with pytest.raises(
            InputError, match=r"found \d+ records, or others, at the end, expected the \d+ of the beginning"
        ):
            pack(card(), root, tmp_path / "index.json")
        assert not (tmp_path / "index.json").exists()


def test_a_process_that_is_killed_is_one_clear_line():
    with pytest.raises(InputError, match="threads: found one of 2 processes killed"):
        with packing.processes(2) as mapped:
            list(mapped(kill_itself, range(8)))


def note_and_wait(file):
    file.with_name(str(os.getpid())).touch()
    time.sleep(60)


def wait_in(file):
    with packing.processes(2) as mapped:
        list(mapped(note_and_wait, [file] * 8))


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_who_is_killed_leaves_nobody_behind(tmp_path, by):
    parent = get_context("fork").Process(target=wait_in, args=(tmp_path / "file",))
    parent.start()
    wait_until(lambda: len(os.listdir(tmp_path)) == 2)
    os.kill(parent.pid, by)
    parent.join(60)
    try:
        wait_until(lambda: not any(map(lives, os.listdir(tmp_path))))
    finally:
        for pid in filter(lives, os.listdir(tmp_path)):
            os.kill(int(pid), signal.SIGKILL)


def lives(pid: str) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def wait_until(so):
    for _ in range(2000):
        if so():
            return
        time.sleep(0.01)
    pytest.fail("nothing happens")
