"""A real browser for tests: headless Chromium, driven through chromedriver by the W3C WebDriver protocol."""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

CHROMIUM, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no chromium and chromedriver on PATH (Debian: apt-get install chromium-driver)"
)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync --window-size=1280,800"
)


class Browser:
    """One window. Each method is one command of the protocol."""

    def __init__(self, session: str):
        self.session = session

    def open(self, address: str) -> None:
        _ask(f"{self.session}/url", {"url": address})

    def run(self, script: str, *arguments: object) -> object:
        """What a JavaScript function body returns."""
        return _ask(f"{self.session}/execute/sync", {"script": script, "args": arguments})

    def wait(self, condition: str, seconds: float = 20) -> None:
        """Wait until a JavaScript expression is true."""
        until = time.monotonic() + seconds
        while not self.run(f"return Boolean({condition})"):
            assert time.monotonic() < until, f"in vain: {condition}"
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        found = _ask(f"{self.session}/element", {"using": "css selector", "value": selector})
        _ask(f"{self.session}/element/{next(iter(found.values()))}/click", {})

    def press(self, key: str) -> None:
        """A key as a person presses it: a character, or one of the protocol's codes."""
        strokes = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        _ask(f"{self.session}/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]})

    def drag(self, selector: str, *path: tuple[float, float]) -> None:
        """Draw with the mouse: from point to point, each as parts (0 to 1) of an element's width and height."""
        box = self.run("const r = document.querySelector(arguments[0]).getBoundingClientRect(); return r", selector)
        points = [(round(box["x"] + x * box["width"]), round(box["y"] + y * box["height"])) for x, y in path]
        moves = [{"type": "pointerMove", "x": x, "y": y, "duration": 100} for x, y in points]
        strokes = [moves[0], {"type": "pointerDown", "button": 0}, *moves[1:], {"type": "pointerUp", "button": 0}]
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": strokes}
        _ask(f"{self.session}/actions", {"actions": [mouse]})

    def resize(self, width: int, height: int, phone: bool = False) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1 + phone, "mobile": phone}
        _ask(f"{self.session}/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(_ask(f"{self.session}/screenshot")))


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Start Chromium with an empty profile; profile and downloads lie in `folder`, and it ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "binary": CHROMIUM,
        "args": [*FLAGS.split(), f"--user-data-dir={folder / 'profile'}"],
        "prefs": {"download.default_directory": str(folder), "download.prompt_for_download": False},
    }
    driver = subprocess.Popen([DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(f"http://127.0.0.1:{port}/status")
        asked = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        session = f"http://127.0.0.1:{port}/session"
        session += "/" + _ask(session, asked)["sessionId"]
        try:
            yield Browser(session)
        finally:
            _ask(session, method="DELETE")
    finally:
        driver.terminate()
        driver.wait()


def _wait_for(address: str) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            return _ask(address)
        except URLError:
            assert time.monotonic() < until, "chromedriver does not start"
            time.sleep(0.05)


def _ask(address: str, data: dict | None = None, method: str | None = None) -> object:
    body = None if data is None else json.dumps(data).encode()
    try:
        with urlopen(Request(address, body, {"Content-Type": "application/json"}, method=method), timeout=60) as reply:
            return json.load(reply)["value"]
    except HTTPError as error:
        raise AssertionError(error.read().decode()) from None
