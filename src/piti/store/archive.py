"""Archives: unpacked whole into a folder of their own, or not at all, however hostile they are.

Zip and gzipped tar are read through one loop that writes plain files only, under names that it has checked. Links,
devices and permissions are not a data set's business; refusing them leaves nothing to escape through.
"""

import contextlib
import errno
import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from piti.progress import progress
from piti.store.files import InputError, atomic_folder

MAX_MEMBERS = 1_000_000
MAX_EXPANSION = 100  # photographs and arrays expand less than tenfold; a bomb, a thousandfold
ALWAYS_ALLOWED = 1 << 30  # bytes: labels of one colour pack well, and so much does no harm
MAX_READ = 1 << 26  # bytes that a tar header may make us hold at once
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,
    NotImplementedError,  # a compression that zipfile does not know
    RuntimeError,  # an encrypted member
    ValueError,  # a header that does not make sense
)


@dataclass(frozen=True)
class _Member:
    name: str
    kind: str  # "file", "folder", or the name of what is not allowed
    bytes: int  # expanded
    packed: int  # bytes of the archive used up when the member has been read
    open: Callable[[], IO[bytes]]


def extract_all(archives: Mapping[Path, str], folder: Path) -> None:
    """Unpack .zip and .tar.gz files into `folder`, which is replaced: all of them, or nothing at all.

    archives: each archive, and the folder below `folder` that it goes to ("" for `folder` itself).

    Raises InputError naming the archive and the member: a path that is absolute, leaves the folder, occurs twice or
    is too long; a link or device; too many members, or more bytes than MAX_EXPANSION and ALWAYS_ALLOWED let through;
    a damaged or truncated archive; one without any file.
    """
    with atomic_folder(folder) as temporary:
        for archive, below in archives.items():
            if _leaves(PurePosixPath(below)):
                raise InputError(f"{archive}: found folder {below!r}, expected one below {folder}")
            _extract(archive, temporary / below)


def _extract(archive: Path, folder: Path) -> None:
    """Unpack one archive beside what is in the folder already."""
    if not archive.is_file():
        raise InputError(f"{archive}: no such file")
    packed = archive.stat().st_size
    limit = max(MAX_EXPANSION * packed, ALWAYS_ALLOWED)
    seen: set[PurePosixPath] = set()
    expanded = files = 0
    name = "table of contents"  # what was being read, for the error
    try:
        with (
            _opened(archive) as members,
            progress(desc=archive.name, total=packed, unit="B", unit_scale=True) as bar,
        ):
            for member in members:
                name = member.name
                expanded += member.bytes
                path = _checked(archive, member, seen, expanded, limit)
                if path.parts:  # else it is the folder itself
                    _write(member, folder / path)
                files += member.kind == "file"
                bar.update(member.packed - bar.n)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise InputError(f"{archive}: member {name!r}: found something else under that name already") from None
    except (*DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's fault, not the archive's
        raise InputError(f"{archive}: {name!r}: damaged or truncated ({error})") from None
    if not files:
        raise InputError(f"{archive}: found no file in it, expected at least one")


def _checked(archive: Path, member: _Member, seen: set[PurePosixPath], expanded: int, limit: int) -> PurePosixPath:
    """The member's path below the folder, if it may be written there."""
    path = PurePosixPath(member.name)
    lengths = [len(os.fsencode(part)) for part in path.parts]
    refusal = None
    if _leaves(path) or "\0" in member.name:
        refusal = "a path that leaves the folder"
    elif sum(lengths) > 1024 or max(lengths, default=0) > 255:
        refusal = f"a name of {len(member.name)} characters"
    elif member.kind not in ("file", "folder"):
        refusal = member.kind
    elif path in seen and member.kind == "file":
        refusal = "the same name twice"
    elif len(seen) >= MAX_MEMBERS:
        refusal = f"more than {MAX_MEMBERS} members"
    elif expanded > limit:
        refusal = f"{expanded} bytes so far, expected at most {limit}"
    if refusal:
        raise InputError(f"{archive}: member {member.name[:200]!r}: found {refusal}")
    seen.add(path)
    return path


def _leaves(path: PurePosixPath) -> bool:
    return path.is_absolute() or ".." in path.parts


def _write(member: _Member, path: Path) -> None:
    if member.kind == "folder":
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with member.open() as source, open(path, "xb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
    if path.stat().st_size != member.bytes:
        raise EOFError(f"found {path.stat().st_size} bytes, expected {member.bytes}")


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[Iterator[_Member]]:
    """The members of an archive of either kind, told apart by its first bytes."""
    with open(archive, "rb") as handle:
        start = handle.read(2)
        handle.seek(0)
        if start == b"PK":
            with zipfile.ZipFile(handle) as file:
                yield _zip_members(file)
        elif start == b"\x1f\x8b":
            stream = _Stream(handle)
            with tarfile.open(fileobj=stream, mode="r:") as file:
                yield _tar_members(file, stream, handle)
        else:
            raise InputError(f"{archive}: found {start!r} at its beginning, expected a .zip or .tar.gz")


def _zip_members(file: zipfile.ZipFile) -> Iterator[_Member]:
    packed = 0
    for info in file.infolist():
        packed += info.compress_size
        mode = info.external_attr >> 16
        kind = "folder" if info.filename.endswith("/") else "file"
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            kind = "a link" if stat.S_ISLNK(mode) else "a device"
        yield _Member(info.filename, kind, info.file_size, packed, lambda info=info: file.open(info))


def _tar_members(file: tarfile.TarFile, stream: "_Stream", handle: IO[bytes]) -> Iterator[_Member]:
    for info in file:
        kind = "folder" if info.isdir() else "file" if info.isreg() else "a device"
        if info.issym() or info.islnk():
            kind = "a link"
        yield _Member(info.name, kind, info.size, handle.tell(), lambda info=info: file.extractfile(info))
        file.members = []  # tarfile remembers all of them; one pass needs none
    # tarfile stops at a damaged header as at the end; gzip's checksum lies behind the end
    rest = stream.read(MAX_READ)
    if rest.strip(b"\0") or len(rest) == MAX_READ:
        raise tarfile.ReadError("something follows that is no member")


class _Stream(gzip.GzipFile):
    """A gzip stream that refuses to be read in pieces beyond reason, as a hostile tar header would have it."""

    def __init__(self, handle: IO[bytes]) -> None:
        super().__init__(fileobj=handle, mode="rb")

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_READ:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size)
