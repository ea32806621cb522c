"""On a file system without locks, whatever it answers, packing, training and downloads end in the bytes of an
undisturbed run, also when two copies run at once and when one is killed in the middle.

`python -m tests.unit.test_without_locks FOLDER` is what runs under a stub that refuses every lock.
"""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.faults import scenarios
from tests.faults.network import Process
from tests.faults.workspace import Job, done
from tests.house import ROOT
from tests.unit.test_download import Server
from tests.unit.train import tiny

from piti import scenes
from piti.cards import PackCard
from piti.cards.base import dumps

ANSWERS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, 524)  # 524: ENOTSUPP, the kernel's own, which NFS lets out
STUB = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>

static int refused(void) { errno = atoi(getenv("LOCKS_ANSWER")); return -1; }

int flock(int file, int how) { return refused(); }
int lockf(int file, int how, off_t size) { return refused(); }
int lockf64(int file, int how, off64_t size) { return refused(); }

#define WITHOUT_LOCKS(name)                                                                                   \
  int name(int file, int what, ...) {                                                                         \
    va_list rest;                                                                                             \
    va_start(rest, what);                                                                                     \
    void *argument = va_arg(rest, void *);                                                                    \
    va_end(rest);                                                                                             \
    if (what == F_SETLK || what == F_SETLKW || what == F_OFD_SETLK || what == F_OFD_SETLKW) return refused(); \
    return ((int (*)(int, int, ...))dlsym(RTLD_NEXT, #name))(file, what, argument);                           \
  }
WITHOUT_LOCKS(fcntl)
WITHOUT_LOCKS(fcntl64)
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_steps_need_no_locks(tmp_path):
    (tmp_path / "stub.c").write_text(STUB)
    library = tmp_path / "stub.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", library, tmp_path / "stub.c", "-ldl"], check=True)
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    environment = os.environ | {"LD_PRELOAD": str(library), "PYTHONPATH": path, "LOCKS_ANSWER": str(errno.ENOLCK)}
    command = [sys.executable, "-m", "tests.unit.test_without_locks", str(tmp_path / "work")]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("ok") == 2 * len(ANSWERS) + 1


def main(folder: Path) -> None:
    server = Server()
    serving = Process(server, [])
    try:
        for answer in ANSWERS:
            os.environ["LOCKS_ANSWER"] = str(answer)
            for number, job in enumerate(jobs(folder / str(answer), server, answer == ANSWERS[0])):
                for inject in (scenarios.twice_at_once, partial(scenarios.killed, signal.SIGKILL)):
                    scratch = Path(tempfile.mkdtemp(dir=folder))
                    inject(random.Random(number), job, scratch)
                print("ok", job.step, answer)
    finally:
        serving.stop()


def jobs(folder: Path, server: Server, with_training: bool) -> Iterator[Job]:
    """Steps, done once: packing, a download, and a training, which takes longer."""
    scenes.write(folder / "drawn", "folder", 1, {"train": 6}, 32, "near")
    pack = PackCard(dataset="web", layout="folder", split="train", kind="images", resolution=32, expected=6)
    output = folder / "shards/web/0123456789/index.json"
    yield done(folder, "pack", dumps(pack), {"root": (folder / "drawn",)}, output)
    file = json.dumps({"file": "file", "url": [server.url()]})
    yield done(folder, "download", file, {}, folder / "downloads/file/0123456789/file")
    if with_training:
        card = tiny.card(steps=3)
        given = zip(("images", "conditions"), tiny.inputs(card, tiny.data(folder / "data", 6)), strict=True)
        output = folder / "models/base/0123456789/weights.safetensors"
        yield done(folder, "train", dumps(card), {key: (path,) for key, path in given}, output)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
