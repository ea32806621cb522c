"""The stub as Python sees it: its counts, its answers, and who is told what happens."""

import contextlib
import ctypes
from collections.abc import Callable, Iterator

LIBRARY = ctypes.CDLL(None)  # it is preloaded
PRESENT = hasattr(LIBRARY, "stub_count")
HEARER = ctypes.CFUNCTYPE(None, ctypes.c_int)
if PRESENT:
    LIBRARY.stub_count.restype, LIBRARY.stub_event.restype = ctypes.c_long, ctypes.c_char_p


def names() -> list[str]:
    """The events by their numbers: "launch", "math" (a convolution or matrix product), "sync", …"""
    found = []
    while name := LIBRARY.stub_event(len(found)):
        found.append(name.decode())
    return found


def launches() -> int:
    """Kernels since the process began."""
    return LIBRARY.stub_count(0)


@contextlib.contextmanager
def heard(by: Callable[[str], object]) -> Iterator[None]:
    """Meanwhile `by` is called with the name of every event but launches, by whoever caused it."""
    events = names()
    hearer = HEARER(lambda event: by(events[event]))
    LIBRARY.stub_watch(hearer)
    try:
        yield
    finally:
        LIBRARY.stub_watch(None)


@contextlib.contextmanager
def answering(value: float) -> Iterator[None]:
    """Meanwhile a float that the host reads from a device is `value`, and a bool is true."""
    LIBRARY.stub_answer(ctypes.byref(ctypes.c_double(value)))
    try:
        yield
    finally:
        LIBRARY.stub_answer(None)
