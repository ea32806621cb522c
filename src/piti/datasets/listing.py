"""Files below a folder, as people have them: linked folders, names of other systems, and what is no picture.

Pictures of one thing are joined by their stem: the path below the folder without its suffix, "lakes/001".
"""

import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from piti.store.files import InputError, one_line

# What a file of a picture may be called, in either case. What it holds decides piti.datasets.pictures.
SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif")
NAMED = 3  # files that a remark names; the others it counts


class Nothing(InputError):
    """There is nothing to list, where something was expected."""


def listed(folder: Path) -> dict[str, Path]:
    """Name below `folder`, with forward slashes -> path, in order, for every file that is not hidden.

    Linked folders are entered. Names are composed (NFC) whatever system wrote them, and what is not UTF-8 is read as
    Latin-1, so that a name is the same text in every folder. Raises InputError for a folder that cannot be read, one
    that holds itself, what is neither file nor folder, and two names that become one.
    """
    found: dict[str, Path] = {}
    for raw, path in _walk(folder, "", ()):
        name = plain(raw)
        if name in found:
            raise InputError(
                f"{path}: found {found[name]} beside it, the same name in other bytes; expected one of them"
            )
        found[name] = path
    return dict(sorted(found.items()))


def _walk(folder: Path, below: str, above: Sequence[tuple[int, int]]) -> Iterator[tuple[str, Path]]:
    """Every file, with its name after `below`. `above`: device and inode of the folders on the way here."""
    try:
        about = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        raise Nothing(f"{folder}: no such folder") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from None
    here = (about.st_dev, about.st_ino)
    if here in above:
        raise InputError(f"{folder}: found a link to a folder above it, expected an end")
    for entry in entries:
        if entry.name.startswith("."):
            continue
        # A link that leads nowhere, or to itself, is told by who reads it as a picture.
        link = entry.is_symlink()
        if os.path.isdir(entry) if link else entry.is_dir():
            yield from _walk(Path(entry.path), f"{below}{entry.name}/", (*above, here))
        elif not (os.path.isfile(entry) if link else entry.is_file()) and os.path.exists(entry):
            # To open a pipe is to wait for ever.
            raise InputError(f"{entry.path}: found a pipe, a socket or a device, expected a file or a folder")
        else:
            yield f"{below}{entry.name}", Path(entry.path)


def plain(name: str) -> str:
    """The name as text that every program can print and write."""
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8
        name = os.fsencode(name).decode("latin-1")
    return unicodedata.normalize("NFC", name)


def stem(name: str) -> str:
    return os.path.splitext(name)[0]


def is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES


def pictures(files: dict[str, Path], faults: list[str]) -> dict[str, Path]:
    """Stem -> path of the pictures among `files`. Two of one stem are a fault, which names both."""
    found: dict[str, Path] = {}
    for name, path in files.items():
        if is_picture(name) and (other := found.setdefault(stem(name), path)) != path:
            faults.append(f"{path}: found the same name as {other.name}, expected one picture for a name")
    return found


def some(names: Iterable[str]) -> str:
    """How many there are, and what the first are called: "3 (a.heic, b.heic, c.txt)"."""
    names = sorted(one_line(plain(name)) for name in names)
    return f"{len(names):,} ({', '.join(names[:NAMED])}{', …' if len(names) > NAMED else ''})"
