"""Steps in forked children: they start at once, may be killed anywhere, and are never waited for in vain."""

import contextlib
import itertools
import os
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

TIMEOUT = 600.0  # seconds; a step here takes one or two, on a busy machine twenty times as long
CHANGES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")  # Python's audit events


class Wrong(AssertionError):
    """What an injection led to and must not."""


class Child:
    """A module's command line in a forked process, with what it printed."""

    def __init__(
        self, module: str, arguments: Sequence[object], log: Path, before: Callable[[], object] = lambda: None
    ):
        """before: called in the child, before the module runs."""
        self.module, self.log, self.began = module, log, time.monotonic()
        self.pid = os.fork()
        if not self.pid:
            _run(module, [str(a) for a in arguments], log, before)

    def wait(self, seconds: float = TIMEOUT) -> int:
        """Its exit code, negative for a signal. Raises Wrong where it hangs."""
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.seconds = time.monotonic() - self.began
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() - self.began > seconds:
                self.stop(signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise Wrong(f"{self.module} hangs: {seconds:.0f} s")
            time.sleep(0.003)

    def stop(self, with_signal: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, with_signal)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def refused(self) -> None:
        """It has ended with exit code 2: it must have said why, in one line."""
        lines = [line for line in self.said().splitlines() if line.startswith("error: ")]
        if len(lines) != 1 or "Traceback" in self.said():
            raise Wrong(f"{self.module}: exit code 2 without one clear line:\n{self.said()}")


def _run(module: str, arguments: list[str], log: Path, before: Callable[[], object]) -> None:
    """The child's whole life. It leaves by os._exit: nothing of the parent's is cleaned up by it."""
    code = 1
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.argv[1:] = arguments
        before()
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


# -- what may happen to a child ----------------------------------------------------------------------------------------


def on_change(folder: Path, react: Callable[[int], object]) -> Callable[[], None]:
    """React before each change that Python makes below `folder` (a file opened for writing, renamed, removed …).

    react: called with the change's number, from 1.
    """

    def before() -> None:
        numbers, inside = itertools.count(1), str(folder)

        def hook(event: str, arguments: tuple) -> None:
            reading = event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if event in CHANGES and not reading and str(arguments[0]).startswith(inside):
                react(next(numbers))

        sys.addaudithook(hook)

    return before


def killed_at(folder: Path, number: int, by: int) -> Callable[[], None]:
    """Killed before its `number`-th change below `folder`."""
    return on_change(folder, lambda now: os.kill(os.getpid(), by) if now == number else None)


def clock_jumps(seconds: float, calls: int) -> Callable[[], None]:
    """The clock is moved, after so many looks at it."""

    def before() -> None:
        real, left = time.time, [calls]

        def moved() -> float:
            left[0] -= 1
            return real() + (seconds if left[0] < 0 else 0)

        time.time = moved

    return before
