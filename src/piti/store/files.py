"""Files: written whole or not at all, named by digest, and honest about failure."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

# Names of what is half-written: by `atomic` and `atomic_folder`; by safetensors itself, on the way to those.
LEFT = r"\..+\.\d+\.partial|\.tmp\w{6}"


UMASK = os.umask(0)  # it can be read only by being set
os.umask(UMASK)


class InputError(Exception):
    """Input that a person can put right. Its text is one line: file, key, found, expected. Steps print it, exit 2."""

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))


def one_line(text: str) -> str:
    """The text with its control characters spelt out: names of files may hold them, ends of lines among them."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda found: ascii(found[0])[1:-1], text)


def refuse(faults: Sequence[str], where: str) -> None:
    """Refuse many files at once: each fault a line on stderr, then an InputError with their number and the first."""
    if len(faults) > 1:
        print(*map(one_line, faults), sep="\n", file=sys.stderr)
        raise InputError(f"{where}: found {len(faults)} faults, expected none; the first: {faults[0]}")
    if faults:
        raise InputError(faults[0])


def _partial(path: Path, when: str = "") -> Path:
    """A temporary name beside `path`, of its first 50 characters: a name has 255 bytes at most, a character up to 4."""
    return path.with_name(f".{path.name[:50]}{when}.{os.getpid()}.partial")


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it into place when the block ends well, remove it otherwise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _partial(path)
    try:
        yield temporary
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        os.chmod(temporary, 0o666 & ~UMASK)  # safetensors would keep it from everybody else
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """The same for a folder: filled under a temporary name, renamed when complete."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, before = _partial(path), _partial(path, ".before")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        if path.is_dir():  # moved away whole: nobody is to see it half removed
            os.replace(path, before)
        os.replace(temporary, path)
    finally:
        for left in (temporary, before):
            shutil.rmtree(left, ignore_errors=True)


def clock(folder: str | Path) -> float:
    """The time by which the file system of a folder dates its files; its server may have another than this machine."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:  # nobody may write there
        return time.time()


def write_text(path: str | Path, text: str) -> None:
    """Write text atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text)


def write_json(path: str | Path, data: object) -> None:
    """Write JSON atomically, keys in the given order, readable."""
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def read_json(path: str | Path, *keys: str) -> dict:
    """Read JSON that has at least these keys. Raises InputError naming the file."""
    try:
        found = json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    if missing := [key for key in keys if not isinstance(found, dict) or key not in found]:
        raise InputError(f"{path}: key {missing[0]!r}: not found, expected {', '.join(keys)}")
    return found


def file_digest(path: str | Path, algorithm: str = "sha256") -> str:
    """Hexadecimal digest of a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, algorithm).hexdigest()


# -- failure is data ---------------------------------------------------------------------------------------------

_FAILED = b'{"failed": '


def write_failure(paths: Iterable[str | Path], reason: str) -> None:
    """Put a failure record in place of each output (a training that diverged, say)."""
    for path in paths:
        write_text(path, json.dumps({"failed": reason}) + "\n")


def failure(path: str | Path) -> str | None:
    """The reason in a failure record, or None where the file is a real artefact."""
    with open(path, "rb") as handle:
        if handle.read(len(_FAILED)) != _FAILED:
            return None
    return read_json(path, "failed")["failed"]


def pass_failure(inputs: Iterable[str | Path], outputs: Iterable[str | Path]) -> bool:
    """Hand the first failure among `inputs` on to all `outputs`; True when there was one."""
    for path in inputs:
        if Path(path).is_file() and (reason := failure(path)):
            write_failure(outputs, reason)
            return True
    return False
