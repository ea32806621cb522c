"""What shards were packed from: of every file its size, its time and a digest of its beginning, beside the shard.

`shard-00000.sources.json` holds {id: [[size, time in ns, digest], …]}, a triple for each file that the kind reads.
Files are named by id, so that data may move. Same size and time: the same file. Same size at another time: its first
MiB decides, which is all of most photographs; the new time is then remembered, so that nothing is read twice.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from piti.data.layouts import Record
from piti.files import read_json, write_text

HEAD = 1 << 20  # bytes
READ = {  # kind of shards -> the parts of a record that it reads
    "images": ("image",),
    "mask": ("image", "labels"),
    "instances": ("image", "instances"),
    "geometry": ("image", "depth", "depth_mask", "normal"),
    "caption": ("caption",),
}
Stamp = list  # size, time in ns, digest


class Sources:
    """The files behind the items of one kind."""

    def __init__(self, records: Iterable[Record], kind: str):
        self.paths = {r.id: [path for part in READ[kind] if (path := getattr(r, part))] for r in records}

    def stamps(self, ids: Iterable[str]) -> dict[str, list[Stamp]]:
        """What these items' files are now."""
        return {i: [stamp(path) for path in self.paths[i]] for i in ids}

    def remember(self, shard: Path, stamps: Mapping[str, list[Stamp]]) -> None:
        """Write down what a shard was packed from."""
        write_text(beside(shard), json.dumps(stamps, ensure_ascii=False, separators=(",", ":")))

    def changed(self, shard: Path) -> dict[str, str]:
        """Id -> "changed" or "gone", of the items of a shard whose files are no longer what they were."""
        then, found, moved = read_json(beside(shard)), {}, False
        for name, stamps in then.items():
            paths = self.paths.get(name)
            if paths is None or not all(os.path.exists(path) for path in paths):
                found[name] = "gone"
            elif len(paths) != len(stamps) or not all(map(same, stamps, paths)):
                found[name] = "changed"
            elif (now := [[*_stat(path), said[2]] for path, said in zip(paths, stamps, strict=True)]) != stamps:
                then[name], moved = now, True
        if moved and os.access(shard.parent, os.W_OK):
            self.remember(shard, then)
        return found


def beside(shard: Path) -> Path:
    return shard.with_suffix(".sources.json")


def stamp(path: Path) -> Stamp:
    """What a file is now: size, time in ns, digest of its beginning."""
    size, time = _stat(path)
    return [size, time, head_digest(str(path), size, time)]


def same(then: Stamp, path: Path) -> bool:
    """Whether a file is what it was, wherever it lies now."""
    size, time = _stat(path)
    return then[0] == size and (then[1] == time or then[2] == head_digest(str(path), size, time))


@cache  # one file of annotations stands behind every item
def head_digest(path: str, size: int, time: int) -> str:
    """Sixteen hexadecimal characters over the beginning of a file."""
    with open(path, "rb") as handle:
        return hashlib.sha256(handle.read(HEAD)).hexdigest()[:16]


def _stat(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns
