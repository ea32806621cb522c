"""What shards were packed from: of every file its size, its time and a digest of its beginning, beside the shard.

`shard-00000.sources.json` holds {id: [[size, time in ns, digest], …]}, a triple for each file that the kind reads.
Files are named by id, so that data may move. Same size and time: the same file. Same size at another time: its first
MiB decides, which is all of most photographs; the new time is then remembered, so that nothing is read twice.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from piti.conditions import stored
from piti.datasets.layouts import Record
from piti.store.files import read_json, write_text

HEAD = 1 << 20  # bytes
Stamp = list  # size, time in ns, digest


class Sources:
    """The files behind the items of one kind. seen: what the disk has said of files already, where several share it."""

    def __init__(self, records: Iterable[Record], kind: str, seen: dict[Path, tuple[int, int]] | None = None):
        parts = (*stored(kind).parts, *stored(kind).optional)
        self.paths = {r.id: [path for part in parts if (path := r.part(part))] for r in records}
        self.seen = {} if seen is None else seen

    def stamps(self, ids: Iterable[str]) -> dict[str, list[Stamp]]:
        """What these items' files are now."""
        return {i: [stamp(path) for path in self.paths[i]] for i in ids}

    def remember(self, shard: Path, stamps: Mapping[str, list[Stamp]]) -> None:
        """Write down what a shard was packed from."""
        write_text(beside(shard), json.dumps(stamps, ensure_ascii=False, separators=(",", ":")))

    def changed(self, shard: Path) -> dict[str, str]:
        """Id -> "changed", "gone" or "unreadable", of the items of a shard whose files are no longer what they were."""
        then, found, moved = read_json(beside(shard)), {}, False
        for name, stamps in then.items():
            paths = self.paths.get(name, [])
            try:
                now = [self._stat(path) for path in paths]
                fits = len(now) == len(stamps) and all(map(same, stamps, paths, now))
            except OSError as error:
                found[name] = "gone" if isinstance(error, FileNotFoundError) else "unreadable"
                continue
            if not fits:
                found[name] = "changed" if paths else "gone"
            elif any(said[1] != time for said, (_, time) in zip(stamps, now, strict=True)):
                then[name], moved = [[*one, said[2]] for one, said in zip(now, stamps, strict=True)], True
        if moved:
            with contextlib.suppress(OSError):  # somebody else's shards, or a disk that is full or read only
                self.remember(shard, then)
        return found

    def _stat(self, path: Path) -> tuple[int, int]:
        if path not in self.seen:
            self.seen[path] = size_and_time(path)
        return self.seen[path]


def beside(shard: Path) -> Path:
    return shard.with_suffix(".sources.json")


def stamp(path: Path) -> Stamp:
    """What a file is now: size, time in ns, digest of its beginning."""
    size, time = size_and_time(path)
    return [size, time, head_digest(str(path), size, time)]


def same(then: Stamp, path: Path, now: tuple[int, int]) -> bool:
    """Whether a file of this size and time is what it was, wherever it lies."""
    return then[0] == now[0] and (then[1] == now[1] or then[2] == head_digest(str(path), *now))


@cache  # one file of annotations stands behind every item
def head_digest(path: str, size: int, time: int) -> str:
    """Sixteen hexadecimal characters over the beginning of a file of this size and time."""
    with open(path, "rb") as handle:
        return hashlib.sha256(handle.read(HEAD)).hexdigest()[:16]


def size_and_time(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns
