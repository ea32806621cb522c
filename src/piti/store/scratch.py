"""Archives extracted on the node's own disk for as long as one process needs them, however that ends.

Who is killed outright leaves a folder behind, and the next one on that node removes it: its lease says that nobody
works there any more.
"""

import contextlib
import errno
import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from piti.store.archive import extract_all
from piti.store.files import InputError
from piti.store.lease import Held, exclusive, in_use

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
    own = home / secrets.token_hex(8)
    with exclusive(own):
        before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        work = own / "work"
        try:
            for folder in (folder for folder in home.iterdir() if folder.is_dir() and not in_use(folder)):
                # held while it is removed, for it may be one that has just been made and has no lease yet
                with contextlib.suppress(Held), exclusive(folder, patience=0):
                    print(f"{folder}: a killed job has left it: removed", file=sys.stderr)
                    shutil.rmtree(folder / "work", ignore_errors=True)
            work.mkdir()
            yield work
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it has been heard
            shutil.rmtree(work, ignore_errors=True)
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
