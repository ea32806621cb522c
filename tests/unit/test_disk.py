"""The plan of disks: the highest moment counts, by file system, and who has too little room is told before work."""

import os
from pathlib import Path

import pytest

from piti.cards import TrainCard
from piti.cli.check import full, said_at_start
from piti.cli.plan import highest
from piti.config import load
from piti.plan import disk as disks
from piti.plan import resolve
from piti.plan.cost import Costs
from piti.plan.disk import Room, checkpoint, expected, file_systems, on_disk, room

SHIPPED = Path(__file__).parents[2] / "config"
GB = 10**9
PLENTY = Room(10**15, 10**12)


def planned(**user) -> Costs:
    return Costs(resolve(load(user, SHIPPED))[0], "A100-80")


@pytest.fixture(scope="module")
def paper() -> Costs:
    return planned()


def test_every_size_of_the_paper_is_known(paper):
    assert not [a.path for a in paper.by_path.values() if expected(paper, a) is None]


def test_the_highest_moment_has_every_archive_extracted(paper):
    """Facts 4: three data sets, 214 GB of them DIODE's archives, in four files a frame of it and two of the others."""
    everything = list(paper.by_path.values())
    end, most = room(paper, everything)
    passing = [expected(paper, a) for a in everything if a.step == "extract"]
    assert len(passing) == 3 and 400 * GB < sum(passing) < 500 * GB
    largest = max(checkpoint(paper, a.card) for a in everything if isinstance(a.card, TrainCard))
    assert most.bytes == end.bytes + sum(passing) + largest
    frames, others = 25458 + 771, 118287 + 5000 + 20210 + 2000
    assert most.files - end.files == pytest.approx(4 * frames + 2 * others, abs=10)
    fetched = sum(expected(paper, a) for a in everything if a.step == "download" and a.name == "diode")
    assert fetched == pytest.approx(214 * GB, rel=0.01)


def test_scratch_takes_the_extracted_archives_off_the_shared_disk(paper):
    scratch = planned(machine={"scratch": "$TMPDIR"})
    (before, most), (after, less) = (room(costs, costs.by_path.values()) for costs in (paper, scratch))
    assert abs(before.bytes - after.bytes) < GB and most.bytes - less.bytes > 400 * GB
    assert any(
        line.startswith("scratch: a packing takes at most 433.0 GB") for line in highest(scratch, scratch.by_path, {})
    )


def test_folders_of_one_disk_are_one_line_and_those_of_two_are_two(tmp_path, monkeypatch):
    costs = planned(results=str(tmp_path / "results"), downloads=str(tmp_path / "downloads"))
    (one,) = file_systems(costs, costs.by_path.values(), ())
    assert one.folders == (str(tmp_path / "results"), str(tmp_path / "downloads"))
    monkeypatch.setattr(disks, "existing", lambda folder: tmp_path if "results" in folder else Path("/proc"))
    two = list(file_systems(costs, costs.by_path.values(), ()))
    assert [len(found.folders) for found in two] == [1, 1]
    assert sum(found.end.bytes for found in two) == one.end.bytes
    assert 230 * GB < two[1].end.bytes < 250 * GB  # the downloads


def test_what_is_there_is_not_to_come(tmp_path):
    costs = planned(results=str(tmp_path))
    archive = next(a for a in costs.by_path.values() if a.path.endswith("val2017.zip"))
    _, before = room(costs, [archive], without=True)
    Path(archive.path).parent.mkdir(parents=True)
    Path(archive.path).write_bytes(b"x" * 1000)
    _, after = room(costs, [archive], without=True)
    assert before.bytes - after.bytes == 1000


def test_what_goes_while_it_is_counted_is_not_there(tmp_path, monkeypatch):
    """Somebody who works there ends his lease, or renames what he has written."""
    costs = planned(results=str(tmp_path))
    archive = next(a for a in costs.by_path.values() if a.path.endswith("val2017.zip"))
    Path(archive.path).parent.mkdir(parents=True)
    Path(archive.path).write_bytes(b"x" * 1000)
    lease, scandir = Path(archive.path).with_name(".lease"), os.scandir
    lease.mkdir()

    def late(path="."):
        if Path(path).name == ".lease":
            lease.rmdir()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", late)
    assert on_disk(archive) == 1000


@pytest.mark.parametrize("free", [Room(100 * GB, PLENTY.files), Room(PLENTY.bytes, 1000)], ids=["bytes", "files"])
def test_too_little_room_is_said_before_work_begins(free, tmp_path, monkeypatch, capsys):
    plan = resolve(load({"results": str(tmp_path)}, SHIPPED))[0]
    monkeypatch.setattr(disks, "free", lambda folder: free)
    said_at_start(plan, costs := Costs(plan))
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "the disk will be full" in line]
    assert f"{free.bytes / 1e9:,.1f} GB and {free.files:,} files free, expected 1,12" in line
    assert sum("will not fit" in line for line in highest(costs, costs.by_path, costs.by_path)) == 1


def test_enough_room_is_not_spoken_of(tmp_path, monkeypatch):
    monkeypatch.setattr(disks, "free", lambda folder: PLENTY)
    assert not list(full(planned(results=str(tmp_path))))


def test_downloads_follow_results_that_the_user_names():
    assert load({}, SHIPPED).downloads == load({"preset": "smoke"}, SHIPPED).downloads == "results/downloads"
    assert load({"results": "/large/piti"}, SHIPPED).downloads == "/large/piti/downloads"
    assert load({"results": "/large/piti", "downloads": "/other"}, SHIPPED).downloads == "/other"
