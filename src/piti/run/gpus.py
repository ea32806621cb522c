"""The GPUs of this machine: their names, and whose each is now.

Several jobs on one machine, of one Snakemake or of several people's, each need GPUs of their own, or a share of one. A
GPU has PARTS parts, and a job holds as many of them as its share is: each by a name that the kernel gives to one
process at a time (an abstract socket). So there is no file that could lack permissions or be cleaned away, and however
the job ends, its GPU is free.
"""

import contextlib
import errno
import os
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from functools import cache
from glob import glob
from itertools import chain, pairwise, product
from pathlib import Path

PARTS = 16  # of a GPU: as many jobs as can share it at most (machine.jobs_per_gpu)


@cache
def present() -> list[str]:
    """The GPUs and parts of GPUs (MIG) that this machine shows: by UUID where nvidia-smi says it, else by number."""
    devices = glob("/dev/nvidia[0-9]*")
    listed = ""
    if devices:
        with contextlib.suppress(OSError):
            listed = subprocess.run(["nvidia-smi", "-L"], stdout=subprocess.PIPE, text=True).stdout
    return parts(listed) or [str(number) for number in range(len(devices))]


def parts(listed: str) -> list[str]:
    """The UUIDs that `nvidia-smi -L` lists. A GPU that is divided (MIG) stands for nothing: its parts do, below it."""
    uuids = re.findall(r"UUID: ([\w-]+)\)", listed)
    return [one for one, after in pairwise([*uuids, ""]) if one[:3] == "MIG" or after[:3] != "MIG"]


def visible(environment: Mapping[str, str]) -> list[str]:
    """Those that processes may use: what CUDA_VISIBLE_DEVICES names, up to the first word that names none; else all.

    A number is nvidia-smi's. CUDA itself may count unlike GPUs otherwise; by UUID there is one way. CUDA takes the
    beginning of a UUID too. Each GPU counts once.
    """
    if (chosen := environment.get("CUDA_VISIBLE_DEVICES")) is None:
        return present()
    names = []
    for word in map(str.strip, chosen.split(",")):
        if not re.match(r"\d|GPU-|MIG-", word):
            break
        known = present()[int(word) :] if word.isdigit() else [name for name in present() if name.startswith(word)]
        names.append(known[0] if known else word)
    return list(dict.fromkeys(names))


def shared(said: int | str) -> int:
    """How many GPUs of this machine its jobs share; said: `machine.gpus`."""
    return said if isinstance(said, int) else len(visible(os.environ)) if present() else 0


def take(number: int, names: list[str], jobs_per_gpu: int = 1) -> list[str]:
    """Make a share of as many of these GPUs this process's own, until it and its children end; wait, and say so, until
    they are free. All that there are, where they are fewer. jobs_per_gpu: how many such shares a GPU has; 1: all of it.
    """
    number, waits = min(number, len(names)), False
    while True:
        held = {}
        for name in names:
            if len(held) < number and (locks := hold(name, PARTS // jobs_per_gpu)):
                held[name] = locks
        if len(held) == number:
            for lock in chain(*held.values()):
                lock.set_inheritable(True)
                lock.detach()
            return list(held)
        for lock in chain(*held.values()):
            lock.close()
        if not waits:
            print(f"waits for {number} of the GPUs {' '.join(names)}: {', '.join(holders(names))}", file=sys.stderr)
        waits = True
        time.sleep(1)


def hold(name: str, parts: int) -> list[socket.socket]:
    """The locks of so many parts of a GPU; none where others leave fewer."""
    locks = []
    for part in range(PARTS):
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(_address(name, part))
        except OSError as error:
            lock.close()
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        lock.listen()  # so that others can ask whose it is
        locks.append(lock)
        if len(locks) == parts:
            return locks
    for lock in locks:
        lock.close()
    return []


def holders(names: Iterable[str]) -> list[str]:
    """Who has each of these GPUs: the process, and the last word of its command, which is what it makes."""
    found = []
    for name, part in product(names, range(PARTS)):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(1)
            asking.connect(_address(name, part))
            process, *_ = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            made = Path(f"/proc/{process}/cmdline").read_text().rstrip("\0").split("\0")[-1]
            found.append(f"process {process} has {name} ({made})")
    return list(dict.fromkeys(found))


def _address(name: str, part: int) -> str:
    return f"\0piti-gpu-{name}-{part}"
