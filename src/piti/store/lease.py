"""Leases: one process at a time has a folder, on any file system, whichever machine it runs on.

A lease is a folder with one file in it, which says who holds it. It is filled under another name and renamed: onto a
folder that has something in it no rename succeeds, so one of many gets it. The file's name is drawn, nobody uses it
again: to remove the file ends this lease and no other, whoever removes it.

The holder touches the file every BEAT seconds. Who finds a lease asks on the holder's own machine whether that process
lives. Elsewhere nobody can tell: there a lease that is not touched for SPAN seconds counts as left. They are seconds of
the one who waits; clocks of two machines are never compared. Locks of the file system are not used: many clusters have
none, or some that hold for one node only.
"""

import contextlib
import errno
import json
import math
import os
import re
import secrets
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from piti.store.files import LEFT, InputError, clock

BEAT = 15.0  # seconds between two touches
SPAN = 180.0  # seconds without one after which a lease counts as left
POLL = 2.0  # seconds between two looks of one who waits, at most
WORD = 1.0  # seconds of waiting that are not worth a word
DAY = 86400.0  # seconds; no two clocks are that far apart


class Held(InputError):
    """Somebody else has it, and lives. The text is one line: what, who, since when."""


class Found(NamedTuple):
    """A lease as it was found."""

    file: Path
    about: dict
    touched: float

    def __str__(self) -> str:
        said = {"user": "somebody", "host": "an unknown machine", "since": "an unknown time"} | self.about
        who = f"job {said['job']}" if said.get("job") else f"process {said.get('pid', '?')}"
        return f"{who} of {said['user']} on {said['host']} since {said['since']}"


@dataclass
class Watch:
    """What one who waits has seen of the holder."""

    found: Found | None = None
    touched: bool = False  # while we looked
    quiet: float = 0.0  # seconds since then that we have slept: while a file system hangs, nobody can touch its files

    def lives(self, found: Found, slept: float) -> bool | None:
        """Whether the holder lives; None where that is not known yet."""
        if found == self.found:
            self.quiet += slept
        else:
            self.touched, self.quiet = bool(self.found) and found.file == self.found.file, 0.0
        self.found, lives = found, _lives(found.about)
        if lives is None and self.quiet > SPAN:
            print(f"{found.file.parent}: left by {found}, taken over", file=sys.stderr)
            return False
        return True if lives is None and self.touched else lives


@contextlib.contextmanager
def exclusive(folder: str | Path, patience: float = math.inf) -> Iterator[None]:
    """No other process works in the folder while the block lasts. Of two copies of a job one waits for the other.

    What a killed process left half-written in the folder is removed. A folder that stays empty is removed too.
    Raises Held as `lease` does.
    """
    folder = Path(folder)
    try:
        with lease(folder / ".lease", patience):
            for left in (folder / name for name in os.listdir(folder) if re.fullmatch(LEFT, name)):
                shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
            yield
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()


def in_use(folder: str | Path) -> str:
    """Who has the folder alone at this moment, in words; nothing where nobody has."""
    found = _found(Path(folder, ".lease"))
    lives = found and _lives(found.about)
    left = lives is False or (lives is None and found and clock(Path(folder).parent) - found.touched > DAY)
    return str(found) if found and not left else ""


@contextlib.contextmanager
def lease(path: str | Path, patience: float = math.inf) -> Iterator[None]:
    """Hold the lease `path` while the block lasts; wait for it as long as it takes.

    Raises Held where somebody who lives has it for longer than `patience` seconds. A holder that stood still until
    another took over says so at the end; if its work failed, that is an InputError.
    """
    path, owner, over = Path(path), os.getpid(), threading.Event()
    mine = _acquire(path, patience)
    threading.Thread(target=_touch, args=(mine, over), daemon=True).start()
    lost = f"{path}: this process stood still for so long that another has taken its place"
    try:
        yield
        if not mine.exists():
            print(lost, file=sys.stderr)
    except Exception as error:
        if mine.exists():
            raise
        raise InputError(f"{lost} ({error})") from error
    finally:
        over.set()
        if os.getpid() == owner:  # and not a fork of it that ends by an error
            _end(mine)


def _acquire(path: Path, patience: float) -> Path:
    """Wait for a lease of our own; return its file."""
    watch, waited, pause, told = Watch(), 0.0, 0.0, False
    while True:
        if not (found := _found(path)):
            if mine := _taken(path):
                return mine
        elif (lives := watch.lives(found, pause)) is False:
            _end(found.file)
            continue
        elif lives and waited >= patience:
            raise Held(f"{path}: in use by {found}")
        elif waited > WORD and not told:
            print(f"{path}: in use by {found}; waiting for it", file=sys.stderr, flush=True)
            told = True
        pause = min(1.5 * pause + 0.01, POLL)
        time.sleep(pause)
        waited += pause


def _taken(path: Path) -> Path | None:
    """Take a lease that nobody has; its file, or None where another was quicker."""
    number = str(secrets.randbits(64))
    ready = path.with_name(f"{path.name}.{number}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        ready.mkdir()
        (ready / number).write_text(json.dumps(_ourselves()))
        with contextlib.suppress(OSError):
            path.rmdir()  # an empty one, which not every file system would replace
        os.rename(ready, path)
        return path / number
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):  # ENOENT: the holder has cleaned up
            raise
        # over NFS it may have been done all the same: its answer was lost, and asked again the server says no
        return path / number if (path / number).exists() else None
    finally:
        shutil.rmtree(ready, ignore_errors=True)


def _found(path: Path) -> Found | None:
    """The lease that somebody has."""
    try:
        (name,) = (name for name in os.listdir(path) if not name.startswith(".nfs"))  # removed, but still being read
        with open(path / name) as handle:  # opened, because then a file system of a network asks its server
            touched = os.fstat(handle.fileno()).st_mtime
            text = handle.read()
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        if error.errno == errno.ESTALE:
            return None
        raise
    try:
        return Found(path / name, dict(json.loads(text)), touched)
    except (ValueError, TypeError):  # its machine went down while it was written
        return Found(path / name, {}, touched)


def _end(file: Path) -> None:
    """End the lease that has this file, and no other."""
    file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # somebody else is in it already
        file.parent.rmdir()


def _touch(file: Path, over: threading.Event) -> None:
    """Touch the file until it is over."""
    while not over.wait(BEAT):
        with contextlib.suppress(OSError):
            os.utime(file)


# -- who ---------------------------------------------------------------------------------------------------------------


def _ourselves() -> dict[str, str | int]:
    return {
        "host": socket.gethostname(),
        "machine": _machine(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
        "job": os.environ.get("SLURM_JOB_ID", ""),
        "user": os.environ.get("USER", str(os.getuid())),
        "since": time.strftime("%Y-%m-%d %H:%M"),
    }


def _lives(about: dict) -> bool | None:
    """Whether the holder lives; None where that cannot be told from here."""
    if not about.get("machine") or about["machine"] != _machine():
        return None
    try:
        os.kill(about["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    started = _started(about["pid"])
    return started == about["started"] if started else None


def _machine() -> str:
    """Where process numbers mean the same: a machine from one start to the next, and a container on it."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + " " + os.readlink("/proc/self/ns/pid")
    return ""


def _started(pid: int) -> str:
    """When a process was started, as its kernel counts; "ended", or nothing where it cannot be seen."""
    try:
        state, *numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "ended" if state in "ZX" else numbers[18]
