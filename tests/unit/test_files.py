"""Files: whole or not at all; failure records handed on."""

import hashlib
import re
import subprocess
import sys
import time

import pytest

from piti.store.files import (
    LEFT,
    InputError,
    atomic,
    atomic_folder,
    clock,
    failure,
    file_digest,
    pass_failure,
    read_json,
    refuse,
    write_failure,
    write_json,
)


class Broken(Exception):
    pass


def test_atomic_makes_folders_and_leaves_one_file(tmp_path):
    target = tmp_path / "new" / "x.txt"
    with atomic(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("before", [None, "old"])
def test_atomic_leaves_what_was_there_when_it_fails(tmp_path, before):
    target = tmp_path / "x.txt"
    if before:
        target.write_text(before)
    with pytest.raises(Broken), atomic(target) as temporary:
        temporary.write_text("half")
        raise Broken
    assert [p.read_text() for p in tmp_path.iterdir()] == ([before] if before else [])


@pytest.mark.parametrize("character", ["a", "é", "山", "🏔"])
def test_a_name_as_long_as_the_file_system_allows_is_written(tmp_path, character):
    """A temporary name adds to the file's own."""
    name = character * (255 // len(character.encode()))
    with atomic(tmp_path / name) as temporary:
        assert re.fullmatch(LEFT, temporary.name)  # it is swept away if we are killed
        temporary.write_text("whole")
    with atomic_folder(tmp_path / "below" / name) as temporary:
        assert re.fullmatch(LEFT, temporary.name)
    assert (tmp_path / name).read_text() == "whole" and (tmp_path / "below" / name).is_dir()


def test_what_is_refused_is_one_line_whatever_files_are_called(capsys):
    name, spelt = "山\n\r\x1b[2J\x85\u2028\\n.png", r"山\n\r\x1b[2J\x85\u2028\n.png"
    assert str(InputError(f"{name}: found")) == str(InputError(str(InputError(f"{name}: found")))) == f"{spelt}: found"
    with pytest.raises(InputError, match=r"folder: found 2 faults, expected none; the first: 山") as refusal:
        refuse([f"{name}: found", f"{name}: found"], "folder")
    assert spelt in str(refusal.value) and str(refusal.value).isprintable()
    assert capsys.readouterr().err == f"{spelt}: found\n" * 2


SAVES = """
import os, pathlib, sys, torch
for umask in sys.argv[1:]:
    if not os.fork():  # torch is read once; ours reads the umask when it is imported
        os.umask(int(umask))
        import piti.store.checkpoint as checkpoint
        checkpoint.save(pathlib.Path(umask), {"group": {"tensor": torch.ones(1)}}, {})
        os._exit(0)
    os.wait()
"""


def test_atomic_files_follow_the_umask_whoever_writes_them(tmp_path):
    """safetensors writes through a temporary file of its own, which nobody else may read."""
    umasks = (0o022, 0o002, 0o027)
    subprocess.run([sys.executable, "-c", SAVES, *map(str, umasks)], cwd=tmp_path, check=True)
    for umask in umasks:
        assert (tmp_path / str(umask)).stat().st_mode & 0o777 == 0o666 & ~umask


def test_atomic_refuses_a_block_that_wrote_nothing(tmp_path):
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "x.txt"):
        pass
    assert not list(tmp_path.iterdir())


def test_atomic_folder_replaces_the_whole_folder(tmp_path):
    target = tmp_path / "folder"
    for name in ("first", "second"):
        with atomic_folder(target) as temporary:
            (temporary / name).touch()
    assert [p.name for p in target.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [target]


def test_atomic_folder_leaves_what_was_there_when_it_fails(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(Broken), atomic_folder(target) as temporary:
        (temporary / "half").touch()
        raise Broken
    assert [p.name for p in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_the_clock_of_a_file_system_is_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 0.0)  # of this machine, wrong by decades
    assert clock(tmp_path) > 1e9
    assert clock(tmp_path / "nothing") == 0.0
    assert not list(tmp_path.iterdir())


def test_json_there_and_back(tmp_path):
    data = {"b": 1, "a": ["ü"]}
    write_json(tmp_path / "x.json", data)
    assert list(read_json(tmp_path / "x.json").items()) == list(data.items())


@pytest.mark.parametrize("content", [None, b'{"a": ', b"\xff\xfe"])
def test_unreadable_json_is_refused_in_one_line_with_its_name(tmp_path, content):
    path = tmp_path / "x.json"
    if content:
        path.write_bytes(content)
    with pytest.raises(InputError) as refusal:
        read_json(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", ["3", "[]", '{"value": 1}'])
def test_json_without_a_wanted_key_is_refused(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"x.json: key '\w+': not found, expected value, kid"):
        read_json(path, "value", "kid")


def test_half_a_failure_record_is_refused(tmp_path):
    path = tmp_path / "record"
    path.write_text('{"failed": "div')
    with pytest.raises(InputError, match="not JSON"):
        failure(path)


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_file_digest(tmp_path, algorithm):
    path = tmp_path / "x"
    path.write_bytes(b"abc" * 100_000)
    assert file_digest(path, algorithm) == hashlib.new(algorithm, b"abc" * 100_000).hexdigest()


def test_failure_is_told_from_a_real_artefact(tmp_path):
    record, real, empty = tmp_path / "record", tmp_path / "real", tmp_path / "empty"
    write_failure([record], "diverged: loss at step 3")
    real.write_bytes(b"\x93weights")
    empty.touch()
    assert failure(record) == "diverged: loss at step 3"
    assert failure(real) is None
    assert failure(empty) is None


def test_failure_is_handed_on_to_every_output(tmp_path):
    bad, good = tmp_path / "bad", tmp_path / "good"
    outputs = [tmp_path / "out" / "weights", tmp_path / "out" / "curve.csv"]
    write_failure([bad], "diverged")
    good.write_text("{}")
    assert pass_failure([good, tmp_path / "folder that is none", bad], outputs)
    assert [failure(path) for path in outputs] == ["diverged", "diverged"]


def test_nothing_is_handed_on_without_a_failure(tmp_path):
    good = tmp_path / "good"
    good.write_text("{}")
    assert not pass_failure([good, tmp_path], [tmp_path / "out"])
    assert not (tmp_path / "out").exists()
