"""Scratch: archives extracted on a node's own disk for one job alone; the same shards, and nothing left behind."""

import resource
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from piti.cards import PackCard
from piti.cards.base import dumps
from piti.config import load
from piti.plan import resolve
from piti.steps.extract import run as extract
from piti.steps.pack import run as pack
from piti.store.files import InputError
from piti.store.scratch import scratch

CONFIG = Path(__file__).parents[2] / "config"
CARD = PackCard(
    dataset="ade20k",
    layout="ade20k",
    split="train",
    kind="images",
    resolution=16,
    expected=9,
    folders=("", "annotations"),
)
HOLD = """
import sys, time
from piti.store.scratch import scratch
with scratch(sys.argv[1]) as own:
    (own / "file").write_text("x")
    print(own, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def archives(tmp_path) -> list[Path]:
    """A data set as two archives, the second of which goes into a folder; one file belongs to no picture."""
    draw, made = np.random.default_rng(0), [tmp_path / "images.zip", tmp_path / "labels.zip"]
    with zipfile.ZipFile(made[0], "w") as images, zipfile.ZipFile(made[1], "w") as labels:
        for number in range(6):
            for archive, name, shape in (
                (images, f"images/training/{number}.png", (24, 24, 3)),
                (labels, f"training/{number}.png", (24, 24)),
            ):
                with archive.open(name, "w") as file:
                    Image.fromarray(draw.integers(0, 150, shape, np.uint8)).save(file, "png")
        images.writestr("images/training/notes.txt", "of no picture")
    return made


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """The folder behind $NODE_DISK."""
    monkeypatch.setenv("NODE_DISK", str(tmp_path / "disk"))
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def left(place: Path) -> list[Path]:
    return [folder for home in place.iterdir() for folder in home.iterdir()]


def hold(place: Path) -> tuple[subprocess.Popen, Path]:
    """A process that is at work in a folder there."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(place)], stdout=subprocess.PIPE, text=True)
    return process, Path(process.stdout.readline().strip())


@pytest.mark.parametrize("kind", ["images", "mask"])
def test_shards_have_the_bytes_of_those_packed_from_a_folder(archives, place, tmp_path, kind):
    card = replace(CARD, kind=kind, num_classes=151 if kind == "mask" else 0)
    outputs = [tmp_path / way / "shards/index.json" for way in ("folder", "scratch")]
    folders = dict(zip("ab", card.folders, strict=True))
    extract(type("card", (), {"archives": folders}), tmp_path / "extracted", archives)
    pack(card, outputs[0], root=tmp_path / "extracted")
    pack(card, outputs[1], archives=archives, scratch="$NODE_DISK")
    for name in ("index.json", "shard-00000.h5"):
        one, other = (output.with_name(name).read_bytes() for output in outputs)
        assert one == other
    assert "ade20k/images/training: left out" in outputs[1].read_text()  # the folder, wherever it was
    assert not left(place)


def test_cards_stay_and_archives_take_the_place_of_the_extracted_folder():
    before, after = (
        resolve(load({"machine": {"scratch": scratch}}, CONFIG))[0].artefacts for scratch in ("", "$TMPDIR")
    )
    assert before.keys() - after.keys() == {key for key in before if key[0] == "extract"}
    assert not after.keys() - before.keys()
    for key, artefact in after.items():
        assert (artefact.card, artefact.path) == (before[key].card, before[key].path)
    packs = {a.name: a for a in after.values() if a.step == "pack"}
    files = {name: [Path(path).name for path in packs[name].inputs["archives"]] for name in packs}
    assert files["diode-test-images256"] == ["val.tar.gz", "val_normals.tar.gz"]
    assert files["coco-train-images64"] == [
        "train2017.zip",
        "stuffthingmaps_trainval2017.zip",
        "annotations_trainval2017.zip",
    ]


def test_packing_is_of_a_folder_or_of_archives(archives, tmp_path):
    for given in ({}, {"root": tmp_path, "archives": archives, "scratch": str(tmp_path)}):
        with pytest.raises(InputError, match=r"--root, --archives: found (both|neither)"):
            pack(CARD, tmp_path / "shards/index.json", **given)


def test_a_failure_leaves_nothing_behind(archives, place, tmp_path):
    archives[1].write_bytes(archives[1].read_bytes()[:100])
    with pytest.raises(InputError, match=r"labels\.zip"):
        pack(CARD, tmp_path / "shards/index.json", archives=archives, scratch=str(place))
    assert not left(place)


def test_sigterm_leaves_nothing_behind(place):
    process, own = hold(place)
    assert own.exists()
    process.terminate()
    assert process.wait(10) == 128 + signal.SIGTERM
    assert not left(place)


def test_what_a_killed_job_left_is_removed_by_the_next_and_a_living_ones_is_not(place, capsys):
    (killed, gone), (living, kept) = hold(place), hold(place)
    try:
        killed.kill()
        killed.wait()
        assert gone.exists()
        with scratch(str(place)):
            assert not gone.exists()
            assert (kept / "file").exists()
        assert capsys.readouterr().err == f"{gone.parent}: a killed job has left it: removed\n"
        assert left(place) == [kept.parent]
    finally:
        living.terminate()
        living.wait()


def test_a_full_disk_is_one_line_that_names_it(archives, place, tmp_path):
    """Full, as the kernel can pretend to anybody: no file may have more than 1,000 bytes."""
    line = [sys.executable, "-m", "piti.steps.pack", "--card", dumps(CARD), "--archives", *archives]
    line += ["--scratch", "$NODE_DISK", "--output", tmp_path / "shards/index.json"]
    limit = (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    ended = subprocess.run(
        line, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit), stderr=subprocess.PIPE, text=True
    )
    said = [text for text in ended.stderr.splitlines() if text.startswith("error: ")]
    assert ended.returncode == 2 and len(said) == 1 and "Traceback" not in ended.stderr
    assert said[0].startswith(f"error: machine.scratch: {place}/piti-")
    assert "expected room for what 2 archives" in said[0]
    assert not left(place)


@pytest.mark.parametrize("scratch_place", ["$NO_SUCH_VARIABLE", "/no/such/folder"])
def test_a_place_that_is_none_is_refused(scratch_place):
    with pytest.raises(InputError, match=r"machine.scratch: found .*, expected a folder on "), scratch(scratch_place):
        pass


def test_a_folder_that_was_just_made_is_not_taken_from_its_maker(place, monkeypatch):
    """It has no lease yet when another looks; by when that one would remove it, it has."""
    with scratch(str(place)) as kept:
        monkeypatch.setattr("piti.store.scratch.in_use", lambda folder: "")
        with scratch(str(place)):
            assert kept.is_dir()
        (kept / "file").write_text("still ours")
