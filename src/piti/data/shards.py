"""Shards: photographs, conditions, captions and samples in HDF5, all by one writer and through one reader.

An artefact is a folder of shard files and, written last, its `index.json`:

    {"kind": "mask", "count": 2000, "resolution": 256, "attributes": {"num_classes": 151},
     "shards": [{"file": "shard-00000.h5", "count": 1000, "bytes": 1234}, ...]}

A shard file holds `ids` (UTF-8) and one uint8 data set, in the form that the kind declares (`piti.conditions`). S is
the resolution in pixels; of those that ship:

    kind       data set   item as written and read                                in the file
    images     images     S x S x 3, RGB                                          the same
    mask       labels     S x S, 0 = void, 1 .. num_classes-1 = classes           compressed
    instances  instances  S x S, 0 = none, 1, 2, .. = COCO's things               compressed
    sketch     bits       S x S, 1 = edge, 0 = none                               8 pixels a byte (numpy.packbits)
    geometry   maps       S x S x 6, normal RGB then depth RGB                    the same
    caption    tokens     S token ids, 0 = padding (here the resolution is the length)  the same

HDF5 keeps a checksum of every item (the filter Fletcher-32), of the ids and of its own structures (format 1.10): a
flipped bit is an error when it is read, never another picture.
"""

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np

from piti.conditions import stored
from piti.data.sources import Sources
from piti.store.files import InputError, atomic, failure, read_json, write_json


def write(
    folder: str | Path,
    kind: str,
    ids: Sequence[str],
    make: Callable[[list[str]], np.ndarray],
    shard_size: int,
    resolution: int,
    attributes: Mapping[str, object] | None = None,
    batch_size: int = 64,
    progress: Callable[[int], object] = lambda items: None,
    sources: Sources | None = None,
    check: Callable[[], object] = lambda: None,
) -> Path:
    """Write the artefact `folder` and return the path of its index.

    make: called with at most `batch_size` ids; returns their items, uint8 N x item (see the table above).
    progress: called with the number of items just finished (a bar's `update`, say).
    sources: the files that `make` reads; remembered beside each shard.
    check: called when all items are there, before the index is written; it may refuse them.

    An interrupted call is continued by calling again: a shard file appears whole or not at all, and `make` is called
    only for shards that are not there yet, or whose sources have changed since. Two calls for one folder may not run at
    once (`piti.store.lease.exclusive`).
    Raises InputError where an id repeats or there is none.
    """
    folder = Path(folder)
    if not ids:
        raise InputError(f"{folder}: ids: found none, expected at least one {kind} item")
    if len(set(ids)) != len(ids):
        raise InputError(f"{folder}: ids: found {_first_repeat(ids)!r} twice, expected every id once")
    shards = []
    for number, start in enumerate(range(0, len(ids), shard_size)):
        path, part = folder / f"shard-{number:05d}.h5", list(ids[start : start + shard_size])
        if _is_whole(path, kind, part, resolution) and (sources is None or _fits(path, sources)):
            progress(len(part))
        else:
            stamps = sources.stamps(part) if sources else None  # before they are read: a change after that is seen
            _write_shard(path, kind, part, make, resolution, batch_size, progress)
            if sources:
                sources.remember(path, stamps)
        shards.append({"file": path.name, "count": len(part), "bytes": path.stat().st_size})
    kept = {shard["file"].partition(".")[0] for shard in shards}
    for left in folder.glob("shard-*"):  # of a call with smaller shards that was interrupted
        if left.name.partition(".")[0] not in kept:
            left.unlink()
    check()
    index = folder / "index.json"
    head = {"kind": kind, "count": len(ids), "resolution": resolution, "attributes": dict(attributes or {})}
    write_json(index, head | {"shards": shards})
    return index


def _write_shard(path: Path, kind: str, ids: list[str], make, resolution: int, batch_size: int, progress) -> None:
    form = stored(kind)
    with atomic(path) as temporary, _Disk(temporary, "w+") as disk:
        with h5py.File(disk, "w", libver=("v110", "v110")) as file:
            names = [i.encode() for i in ids]
            width = h5py.string_dtype("utf-8", max(map(len, names)))
            file.create_dataset("ids", data=np.array(names, width), chunks=(len(ids),), fletcher32=True)
            shape = (len(ids), *form.shape_in_file(resolution))
            chunks = (1, *shape[1:])
            data = file.create_dataset(
                form.dataset, shape, "uint8", chunks=chunks, compression=form.compression, fletcher32=True
            )
            for start in range(0, len(ids), batch_size):
                batch_ids = ids[start : start + batch_size]
                batch = np.asarray(make(batch_ids))
                expected = (len(batch_ids), *form.shape(resolution))
                if batch.shape != expected or batch.dtype not in (np.uint8, np.bool_):
                    raise ValueError(f"{kind}: make returned {batch.dtype} {batch.shape}, expected uint8 {expected}")
                data[start : start + batch_size] = np.packbits(batch, axis=-1) if form.bits else batch
                disk.check()
                progress(len(batch_ids))
        disk.check()


class _Disk(io.FileIO):
    """What HDF5 writes to. When HDF5 is told of a full disk it cannot close its file any more, and the process dies of
    that in the end. So it is told nothing: after the first error nothing is written, and `check` raises the error.
    """

    error: BaseException | None = None  # SIGTERM too may come while HDF5 writes

    def write(self, data) -> int:
        rest = memoryview(data).cast("B")
        with self._remembering():
            while rest and not self.error:
                rest = rest[super().write(rest) :]
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        with self._remembering():
            super().truncate(size)
        return size

    def check(self) -> None:
        if self.error:
            raise self.error

    @contextlib.contextmanager
    def _remembering(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.error = self.error or error


def _fits(path: Path, sources: Sources) -> bool:
    """Whether a shard's files are still what it was packed from; what is not is said."""
    try:
        changed = sources.changed(path)
    except InputError:  # it was interrupted before it could say
        return False
    if changed:
        print(f"{path}: packed again, {len(changed)} of its files have changed since", file=sys.stderr)
    return not changed


def _is_whole(path: Path, kind: str, ids: list[str], resolution: int) -> bool:
    """Whether `path` is a shard with just these ids and items of the right shape, every one readable."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            form = stored(kind)
            data, shape = file[form.dataset], (len(ids), *form.shape_in_file(resolution))
            if data.shape != shape or file["ids"].asstr()[:].tolist() != ids:
                return False
            for row in range(len(ids)):
                data[row]  # its checksum
            return True
    except (OSError, KeyError):
        return False


def _first_repeat(ids: Sequence[str]) -> str:
    seen = set()
    return next(i for i in ids if i in seen or seen.add(i))


def pick(ids: Sequence[str], count: int, seed: int, page: int = 0) -> list[str]:
    """`count` ids in their order, at places drawn by seed. Pages have none in common while there are enough ids."""
    drawn = np.random.default_rng(seed).permutation(len(ids))
    places = drawn[np.arange(page * count, (page + 1) * count) % len(ids)]
    return [ids[place] for place in sorted(set(places.tolist()))]


class Shards:
    """Reader of one artefact: `shards[3]` is an item, `shards[[7, 3, 7]]` a batch in the order asked.

    Safe to pickle and to fork: every process opens the files for itself, when it first needs them.
    """

    def __init__(self, index: str | Path, kind: str | None = None):
        """Read the index. Raises InputError where it or a shard file is missing, truncated, or of another kind."""
        self.index = Path(index)
        entry = read_json(self.index)
        if reason := failure(self.index):
            raise InputError(f"{self.index}: found a failure record ({reason}), expected shards")
        try:
            self.kind, self.resolution, self.attributes = entry["kind"], entry["resolution"], entry["attributes"]
            self._files = [(self.index.parent / s["file"], s["count"], s["bytes"]) for s in entry["shards"]]
            count = entry["count"]
            if strange := [s["file"] for s in entry["shards"] if Path(s["file"]).name != s["file"]]:
                raise InputError(f"{self.index}: file: found {strange[0]!r}, expected a name in the same folder")
        except (KeyError, TypeError) as error:
            raise InputError(f"{self.index}: key {error}: not found, expected an index of shards") from None
        if kind not in (None, self.kind):
            raise InputError(f"{self.index}: kind: found {self.kind!r}, expected {kind!r}")
        try:
            self.form = stored(self.kind)
        except InputError as error:
            raise InputError(f"{self.index}: {error}") from None
        self._starts = np.cumsum([0] + [n for _, n, _ in self._files])
        if self._starts[-1] != count:
            raise InputError(f"{self.index}: count: found {self._starts[-1]} items in its shards, expected {count}")
        for path, _, size in self._files:
            found = f"{path.stat().st_size} bytes" if path.is_file() else "no such file"
            if found != f"{size} bytes":
                raise InputError(f"{path}: found {found}, expected {size} bytes")
        self._opened: dict[int, h5py.Dataset] = {}
        self._owner = os.getpid()

    def __len__(self) -> int:
        return int(self._starts[-1])

    @cached_property
    def ids(self) -> list[str]:
        """The ids, in the order of the items."""
        found = []
        for number in range(len(self._files)):
            with self._reading(number) as data:
                found += data.file["ids"].asstr()[:].tolist()
        return found

    @cached_property
    def _row(self) -> dict[str, int]:
        return {i: row for row, i in enumerate(self.ids)}

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """The rows (int64) of these ids. Raises InputError naming the first one that is not here."""
        try:
            return np.array([self._row[i] for i in ids], dtype=np.int64)
        except KeyError as missing:
            raise InputError(f"{self.index}: id {missing}: not found, expected among {len(self)} ids") from None

    def __getitem__(self, rows) -> np.ndarray:
        """Item `rows` (an int), or the items `rows` (a sequence of ints) as one array, uint8."""
        wanted = np.atleast_1d(np.asarray(rows, dtype=np.int64))
        if wanted.size and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError(f"{self.index}: rows {wanted.min()} .. {wanted.max()} of {len(self)}")
        out = np.empty((len(wanted), *self.form.shape_in_file(self.resolution)), np.uint8)
        numbers = np.searchsorted(self._starts, wanted, side="right") - 1
        for place, (row, number) in enumerate(zip(wanted, numbers, strict=True)):
            with self._reading(number) as data:
                data.read_direct(out, np.s_[row - self._starts[number]], np.s_[place])
        if self.form.bits:
            out = np.unpackbits(out, axis=-1, count=self.resolution)
        return out[0] if np.ndim(rows) == 0 else out

    @contextlib.contextmanager
    def _reading(self, number: int) -> Iterator[h5py.Dataset]:
        """The items of a shard file; whatever HDF5 says against it is an InputError."""
        try:
            yield self._dataset(number)
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            path, reason = self._files[number][0], " ".join(str(error).split())
            raise InputError(f"{path}: found no readable HDF5 shard of kind {self.kind!r} ({reason})") from None

    def _dataset(self, number: int) -> h5py.Dataset:
        if self._owner != os.getpid():  # after a fork: a file handle is never shared between processes
            self._opened, self._owner = {}, os.getpid()
        if number not in self._opened:
            path, count, _ = self._files[number]
            file = h5py.File(path, "r", locking=False)
            data = file[self.form.dataset]
            found, expected = (len(file["ids"]), *data.shape), (count, count, *self.form.shape_in_file(self.resolution))
            if found != expected:
                raise InputError(f"{path}: shapes of ids and items: found {found}, expected {expected}")
            self._opened[number] = data
        return self._opened[number]

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_opened": {}}
