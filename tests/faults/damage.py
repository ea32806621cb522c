"""What happens to files: a power cut, a bad cable, a full quota, a careless hand."""

import random
from collections.abc import Callable
from pathlib import Path


def truncated(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def flipped(content: bytes, rng: random.Random) -> bytes:
    """One bit is another one."""
    changed = bytearray(content)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def emptied(content: bytes, rng: random.Random) -> bytes:
    return b""


def blanked(content: bytes, rng: random.Random) -> bytes:
    """A block that was never written reads as zeros."""
    start = rng.randrange(len(content))
    length = min(rng.randint(1, 4096), len(content) - start)
    return content[:start] + bytes(length) + content[start + length :]


def garbled(content: bytes, rng: random.Random) -> bytes:
    """Something else altogether."""
    return rng.randbytes(rng.randint(1, 2000))


WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (truncated, flipped, flipped, emptied, blanked, garbled)


def damage(path: Path, rng: random.Random) -> str:
    """Damage one file; what was done to it. Other names of the same file (hard links) keep the old content."""
    content, way = path.read_bytes(), rng.choice(WAYS)
    if not content:
        way = garbled
    path.unlink()
    path.write_bytes(way(content, rng))
    return f"{path.name} {way.__name__}"
