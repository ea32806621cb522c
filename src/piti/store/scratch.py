"""Archives extracted on the node's own disk for as long as one process needs them, however that ends.

Who is killed outright leaves a folder behind, and the next one on that node removes it. Whether somebody still works
in a folder says a lock on it: the kernel gives it up with the process, whatever its number and namespace.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from piti.store.archive import extract_all
from piti.store.files import InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def extracted(archives: Mapping[Path, str], place: str) -> Iterator[Path]:
    """The folder of these archives, each below the folder that is named (`extract_all`), on the disk of `place`.

    Raises InputError for what `extract_all` refuses, for a place that cannot be used, and where it is full.
    """
    with scratch(place) as own:
        root = own / "root"
        try:
            extract_all(archives, root)
        except OSError as error:
            if error.errno not in FULL:
                raise
            size = sum(archive.stat().st_size for archive in archives) / 1e9
            full = f"{own}: {error.strerror}; expected room for what {len(archives)} archives of {size:,.1f} GB hold"
            raise InputError(f"machine.scratch: {full} (`piti plan` says how much)") from None
        yield root


@contextlib.contextmanager
def scratch(place: str) -> Iterator[Path]:
    """An empty folder of this process's own below `place`, whose variables are this node's. SIGTERM removes it too."""
    home = _home(place)
    with contextlib.ExitStack() as locks:
        with _locked(home):  # nobody takes a folder that has just been made for one that was left
            left = [folder for folder in home.iterdir() if _take(folder, locks)]
            own = Path(tempfile.mkdtemp(dir=home))
            locks.enter_context(_locked(own))
        before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        try:
            for folder in left:
                print(f"{folder}: a killed job has left it: removed", file=sys.stderr)
                shutil.rmtree(folder)
            yield own
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it has been heard
            shutil.rmtree(own)
            signal.signal(signal.SIGTERM, before)


def _home(place: str) -> Path:
    """Where this user's folders of this node lie, also where nodes share the place."""
    expanded, node = os.path.expandvars(place), socket.gethostname()
    if not os.path.isdir(expanded):
        raise InputError(f"machine.scratch: found {place} ({expanded}), expected a folder on {node}")
    home = Path(expanded, f"piti-{os.getuid()}-{node}")
    home.mkdir(mode=0o700, exist_ok=True)
    if home.is_symlink() or home.stat().st_uid != os.getuid():
        raise InputError(f"machine.scratch: {home}: belongs to somebody else")
    return home


@contextlib.contextmanager
def _locked(folder: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def _take(folder: Path, locks: contextlib.ExitStack) -> bool:
    """Whether a folder has been left by who made it; then it is ours."""
    try:
        locks.enter_context(_locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
