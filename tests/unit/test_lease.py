"""One process at a time, on this machine and on others that share the folder."""

import json
import os
import random
import re
import signal
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import pytest

from piti.store import lease as leases
from piti.store.files import InputError
from piti.store.lease import Held, exclusive, in_use

FORK = get_context("fork")


class Broken(Exception):
    pass


def elsewhere(name: str = "another") -> None:
    """As if this process ran on another machine."""
    leases._machine = lambda: name


def left_by(folder: Path, **about) -> Path:
    """A lease of a process whose machine went down, or as `about` says."""
    file = folder / ".lease/77"
    file.parent.mkdir(parents=True)
    said = {"host": "node7", "machine": "another", "pid": 1, "started": "1", "job": "", "user": "anna"}
    file.write_text(json.dumps(said | {"since": "2026-11-26 14:02"} | about))
    return file


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "hangs"
        time.sleep(0.01)


@pytest.fixture
def start():
    """start(function, *arguments): a forked process; none outlives the test."""
    started = []

    def start(function, *arguments):
        started.append(FORK.Process(target=function, args=arguments))
        started[-1].start()
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.join()


@pytest.fixture
def slept(monkeypatch):
    """slept(function): a clock on which waiting takes no time, and what happens at each look: function(seconds)."""

    def install(happens=lambda seconds: None):
        now = [0.0]

        def sleep(seconds):
            now[0] += seconds
            happens(now[0])

        monkeypatch.setattr(leases, "time", SimpleNamespace(sleep=sleep, strftime=time.strftime))
        return now

    return install


def hold(folder: Path, before: Callable = lambda: None) -> None:
    """Have the folder until somebody makes the file `enough`."""
    before()
    with exclusive(folder):
        (folder / "began").touch()
        until((folder / "enough").exists)
        (folder / "ended").touch()


def fork_and_hold(folder: Path) -> None:
    with exclusive(folder):
        if not os.fork():
            until((folder / "enough").exists)
            os._exit(0)
        (folder / "began").touch()
        time.sleep(60)


# -- one machine -------------------------------------------------------------------------------------------------------


def test_the_second_waits_says_for_whom_and_leaves_nothing(tmp_path, start, capfd, monkeypatch):
    monkeypatch.setenv("USER", "anna")
    monkeypatch.setattr(leases, "WORD", 0.0)
    first = start(hold, tmp_path / "folder")
    until((tmp_path / "folder/began").exists)
    second = start(hold, tmp_path / "folder")
    time.sleep(0.2)  # in which it would have begun
    assert not (tmp_path / "folder/ended").exists()
    (tmp_path / "folder/enough").touch()
    first.join()
    second.join()
    said = re.findall(
        r"(\S+): in use by process (\d+) of anna on \S+ since [-\d]+ [\d:]+; waiting for it", capfd.readouterr().err
    )
    assert said == [(f"{tmp_path}/folder/.lease", str(first.pid))]
    assert {path.name for path in (tmp_path / "folder").iterdir()} == {"began", "enough", "ended"}


@pytest.mark.parametrize("holder", [hold, fork_and_hold])
def test_nobody_waits_for_a_process_that_was_killed_here(tmp_path, start, slept, holder):
    """Nor for a child of it that lives on, as a loader's worker may."""
    process = start(holder, tmp_path)
    until((tmp_path / "began").exists)
    assert in_use(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and nobody has asked for its exit code yet
    assert not in_use(tmp_path)
    slept(lambda _: pytest.fail("waits"))
    with exclusive(tmp_path):
        (tmp_path / "enough").touch()


def test_a_number_that_another_process_has_by_now_is_not_the_holder(tmp_path, slept):
    left_by(tmp_path, machine=leases._machine(), pid=os.getpid(), started="1")
    slept(lambda _: pytest.fail("waits"))
    with exclusive(tmp_path):
        pass


def test_a_process_of_another_user_lives(monkeypatch):
    def kill(*_):
        raise PermissionError

    monkeypatch.setattr(os, "kill", kill)
    assert leases._lives(leases._ourselves())


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / ".page.77.partial").mkdir()
    (tmp_path / ".page.77.partial/half").touch()
    (tmp_path / ".lease.77.partial").mkdir()
    (tmp_path / ".x.json.77.partial").touch()
    (tmp_path / ".tmpWE2ulJ").touch()  # by safetensors
    (tmp_path / ".big.zip.partial").touch()  # a download, to be continued
    with exclusive(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {".lease", ".big.zip.partial"}


def test_what_a_living_process_writes_is_left_alone(tmp_path, start):
    process = start(hold, tmp_path)
    until((tmp_path / "began").exists)
    (tmp_path / ".x.json.77.partial").touch()
    with pytest.raises(Held), exclusive(tmp_path, patience=0):
        pass
    assert (tmp_path / ".x.json.77.partial").exists()
    (tmp_path / "enough").touch()
    process.join()


def test_no_empty_folder_is_left(tmp_path):
    with pytest.raises(Broken), exclusive(tmp_path / "new"):
        raise Broken
    assert not list(tmp_path.iterdir())


def test_a_fork_that_fails_does_not_end_the_lease(tmp_path):
    try:
        with exclusive(tmp_path):
            if not os.fork():
                raise Broken
            os.wait()
            assert in_use(tmp_path)
    except Broken:
        os._exit(0)


# -- several machines --------------------------------------------------------------------------------------------------


def test_a_lease_that_is_touched_is_waited_for_however_long(tmp_path, slept):
    file = left_by(tmp_path)

    def happens(seconds):
        os.utime(file, ns=(0, int(seconds) // 15))
        if seconds > 10 * leases.SPAN:
            leases._end(file)

    now = slept(happens)
    with exclusive(tmp_path):
        assert now[0] > 10 * leases.SPAN


@pytest.mark.parametrize("half_written", [False, True])
def test_a_lease_that_nobody_touches_is_taken_over(tmp_path, slept, capsys, half_written):
    file = left_by(tmp_path)
    if half_written:
        file.write_text("")
    now = slept()
    with exclusive(tmp_path):
        assert leases.SPAN < now[0] < leases.SPAN + 2 * leases.POLL
    said = capsys.readouterr().err
    who = "process ? of somebody on an unknown machine" if half_written else "process 1 of anna on node7"
    assert f"{tmp_path}/.lease: in use by {who} since " in said and "; waiting for it\n" in said
    assert re.search(rf"/.lease: left by {re.escape(who)} since .*, taken over\n", said)


def test_patience_ends_only_where_somebody_is_seen_to_live(tmp_path, slept):
    file = left_by(tmp_path, job="123")
    slept(lambda seconds: os.utime(file, ns=(0, int(seconds) // 15)))
    with pytest.raises(Held, match=rf"^{tmp_path}/.lease: in use by job 123 of anna on node7 since 2026-11-26 14:02$"):
        with exclusive(tmp_path, patience=60):
            pass
    slept()
    with exclusive(tmp_path, patience=60):  # left: a job that gave up after a minute would never find that out
        pass


def test_of_two_who_find_the_same_lease_left_one_gets_it(tmp_path):
    """The slower one takes nothing away from the quicker one."""
    file = left_by(tmp_path)
    leases._end(file)
    with exclusive(tmp_path):
        leases._end(file)
        assert in_use(tmp_path)
        assert not leases._taken(tmp_path / ".lease")


def test_a_process_that_stood_still_ends_nobody_elses_lease_and_says_so(tmp_path, start, capfd, monkeypatch):
    monkeypatch.setattr(leases, "SPAN", 0.3)
    first = start(hold, tmp_path, elsewhere)
    until((tmp_path / "began").exists)
    os.kill(first.pid, signal.SIGSTOP)
    with exclusive(tmp_path):
        (tmp_path / "enough").touch()
        os.kill(first.pid, signal.SIGCONT)
        first.join()
        assert first.exitcode == 0
        assert f"process {os.getpid()} " in in_use(tmp_path)
    said = capfd.readouterr().err
    assert said.count("this process stood still for so long that another has taken its place") == 1


def test_what_breaks_because_of_that_is_one_line(tmp_path):
    with (
        pytest.raises(InputError, match=r"another has taken its place \(\[Errno 2\] No such file"),
        exclusive(tmp_path),
    ):
        (file,) = (tmp_path / ".lease").iterdir()
        leases._end(file)
        os.replace(tmp_path / ".x.77.partial", tmp_path / "x")  # the other has removed it


def test_the_holder_touches_its_lease_until_it_ends_it(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT", 0.01)
    with exclusive(tmp_path):
        (file,) = (tmp_path / ".lease").iterdir()
        os.utime(file, (0, 0))
        until(lambda: file.stat().st_mtime > 0)


def test_in_use(tmp_path, start):
    assert not in_use(tmp_path / "nothing")
    process = start(hold, tmp_path / "here")
    until((tmp_path / "here/began").exists)
    assert f"process {process.pid} " in in_use(tmp_path / "here")
    process.kill()
    process.join()
    assert not in_use(tmp_path / "here")
    file = left_by(tmp_path / "elsewhere")
    assert in_use(tmp_path / "elsewhere") == "process 1 of anna on node7 since 2026-11-26 14:02"
    os.utime(file, (time.time() - 3 * leases.DAY,) * 2)
    assert not in_use(tmp_path / "elsewhere")


# -- many at once ------------------------------------------------------------------------------------------------------


def contend(folder: Path, seed: int) -> None:
    """Have the folder some times; each time add one to a number, slowly. Now and then be killed meanwhile."""
    draw = random.Random(seed)
    if seed % 4 == 1:
        elsewhere(f"machine {seed}")
    leases.SPAN, leases.BEAT, leases.POLL = 2.0, 0.05, 0.02
    for number in range(8):
        with exclusive(folder):
            os.close(os.open(folder / "inside", os.O_CREAT | os.O_EXCL))  # fails where somebody else is
            before = int((folder / "number").read_text())
            time.sleep(draw.uniform(0, 0.01))
            (folder / "number").write_text(str(before + 1))
            (folder / "inside").unlink()
            if number == 7 and seed < 4:
                os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(draw.uniform(0, 0.01))


def test_of_many_only_one_is_inside(tmp_path, start):
    """Eight processes on three machines, four of which are killed with the lease in their hands."""
    (tmp_path / "number").write_text("0")
    processes = [start(contend, tmp_path, seed) for seed in range(8)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [-signal.SIGKILL] * 4 + [0] * 4
    assert (tmp_path / "number").read_text() == "64"
    with exclusive(tmp_path):  # the last one may have been killed
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"number"}


def test_a_lease_that_was_taken_although_the_server_said_no_is_ours(tmp_path, monkeypatch):
    """Over NFS an answer may be lost; the request, sent again, then fails."""
    rename = os.rename

    def said_twice(source, target):
        rename(source, target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", said_twice)
    with leases.lease(tmp_path / "made.lease", patience=0):
        assert (tmp_path / "made.lease").is_dir()
    assert not (tmp_path / "made.lease").exists()
