"""`piti demo` in a real browser: paint, choose a model, draw; the picture is the one that `piti translate` draws."""

import contextlib
import importlib.util
import io
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.flow.browser import browser, needs_browser
from tests.house import ROOT

from piti.baselines import build
from piti.cards import SampleCard
from piti.conditions import CONDITIONS
from piti.config import load
from piti.data import shards
from piti.datasets.colours import colour_map
from piti.networks.piti import PITI
from piti.plan import Plan
from piti.plan.data import packed
from piti.plan.samples import samples_of

LABELS = np.random.default_rng(0).integers(0, 151, (8, 8), np.uint8).repeat(8, 0).repeat(8, 1)  # 64 px
OURS = os.environ | {"PYTHONPATH": str(ROOT / "src")}

pytestmark = [
    needs_browser,
    pytest.mark.skipif(
        importlib.util.find_spec("gradio") is None,
        reason="no Gradio here (pip install --no-deps -r envs/demo.txt)",
    ),
]


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A folder with the shipped configuration, smoke, and weights where those of ours and OASIS would lie."""
    folder = tmp_path_factory.mktemp("studio")
    shutil.copytree(ROOT / "config", folder / "config")
    plan = Plan(load({"preset": "smoke"}, folder / "config"))
    for method, task in (
        ("ours", "ade20k_mask"),
        ("oasis", "ade20k_mask"),
        ("ours", "coco_sketch"),
        ("ours", "diode_geometry"),
    ):
        samples_of(plan, method, task, 1.0, 0)
    torch.manual_seed(0)
    for artefact in list(plan.artefacts.values()):
        if artefact.step in ("sample", "upsample", "generate"):
            weights = folder / artefact.inputs["model"][0]
            weights.parent.mkdir(parents=True, exist_ok=True)
            save_file(untrained(artefact.card, artefact.name), weights)
    example = folder / packed(plan, "ade20k", "test", "mask").path
    shards.write(example.parent, "mask", ["a", "b"], lambda ids: np.stack([LABELS] * len(ids)), 2, 64)
    return folder


def untrained(card, name: str) -> dict[str, torch.Tensor]:
    """Weights of the right shapes, none of them 0, so that the condition is seen."""
    if isinstance(card, SampleCard):
        channels = CONDITIONS[name.rsplit("_")[-1]].channels
        model = PITI(card.unet, card.encoder.with_channels(channels))
    else:
        model = build(card.baseline)
        model.initialise(torch.Generator().manual_seed(0))
        model = model.generator
    state = model.state_dict()
    return {key: v + 0.02 * torch.randn_like(v) if v.is_floating_point() else v for key, v in state.items()}


@pytest.fixture(scope="module")
def address(studio):
    """Where `piti demo` serves its page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = ["demo", "--config", "preset=smoke", "--port", str(port)]
    with open(studio / "log", "w") as log:
        page = subprocess.Popen([sys.executable, "-m", "piti", *line], cwd=studio, env=OURS, stdout=log, stderr=log)
        try:
            found, until = f"http://127.0.0.1:{port}", time.monotonic() + 300
            while not answers(found):
                assert page.poll() is None and time.monotonic() < until, (studio / "log").read_text()
                time.sleep(0.2)
            yield found
        finally:
            page.terminate()
            page.wait()


@pytest.fixture(scope="module")
def window(address, tmp_path_factory):
    """A browser that shows the page."""
    with browser(tmp_path_factory.mktemp("chromium")) as window:
        window.open(address)
        window.wait(
            "document.querySelector('.canvas [aria-label=Undo]:enabled')", 60
        )  # its background lies on the canvas
        yield window


def answers(address: str) -> bool:
    with contextlib.suppress(URLError), urlopen(address):
        return True
    return False


def shown(window, name: str) -> np.ndarray:
    """A picture on the page, uint8 S x S x 3."""
    source = window.run(f"return document.querySelector('.{name} img').src")
    with urlopen(source) as reply:
        return np.asarray(Image.open(io.BytesIO(reply.read())).convert("RGB"))


def draw(window) -> str:
    """Press the button and wait for the end; what the page says then."""
    before = window.run("return document.querySelector('.picture img')?.src ?? ''")
    window.click(".draw")
    window.wait(f"![undefined, '{before}'].includes(document.querySelector('.picture img')?.src)", 60)
    window.wait("document.querySelector('.said code')")
    return window.run("return document.querySelector('.said').innerText")


def enter(window, label: str, value: str) -> None:
    """Type into the field with this label."""
    window.run(
        """const [label, value] = arguments;
        const found = [...document.querySelectorAll('label')].find(l => l.innerText.trim() == label);
        const field = found.querySelector('input, textarea');
        field.value = value;
        for (const kind of ['input', 'change', 'blur']) field.dispatchEvent(new Event(kind, {bubbles: true}));""",
        label,
        value,
    )


def test_what_is_painted_becomes_the_picture_that_translate_draws(studio, address, window, tmp_path):
    window.drag(".canvas canvas", (0.3, 0.6), (0.5, 0.3), (0.7, 0.6))
    said = draw(window)
    assert len(re.findall(r"\d+ x \d+ px in [\d.]+ s", said)) == 2
    seen, picture = shown(window, "seen"), shown(window, "picture")
    assert {tuple(colour) for colour in np.unique(seen.reshape(-1, 3), axis=0)} == {(0, 0, 0), (128, 128, 0)}  # sky
    assert 0.02 < seen.any(-1).mean() < 0.5
    assert shown(window, "base").shape == (16, 16, 3)

    Image.fromarray(seen).save(tmp_path / "image.png")
    line = window.run("return document.querySelector('.said code').innerText")
    _, *arguments = shlex.split(line.replace("image.png", str(tmp_path / "image.png")))
    arguments[arguments.index("--out") + 1] = str(tmp_path / "out")
    subprocess.run([sys.executable, "-m", "piti", *arguments], cwd=studio, env=OURS, check=True)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/image.png")), picture)

    hosts = "return performance.getEntriesByType('resource').map(e => new URL(e.name).origin)"
    assert set(window.run(hosts)) == {address}  # no fonts, no scripts from elsewhere

    for weights in studio.rglob("two_stage-ade20k_mask/*/weights.safetensors"):
        weights.unlink()  # loaded once, and kept
    enter(window, "Seed", "7")
    assert "--seed 7" in draw(window)
    assert not np.array_equal(shown(window, "picture"), picture)

    enter(window, "Steps of the base model", "many")
    window.click(".draw")
    window.wait("document.querySelector('.toast-body')")
    assert "respacing: found 'many'" in window.run("return document.querySelector('.toast-body').innerText")

    window.run("document.querySelector('.toast-close').click()")

    window.click(".example")
    time.sleep(1)
    window.click("[aria-label=Model]")
    window.click("[role=option][aria-label=OASIS]")
    window.wait("![...document.querySelectorAll('label')].some(l => l.innerText.trim() == 'Steps of the base model')")
    assert "--guidance" not in draw(window)  # a baseline knows nothing of it
    seen = shown(window, "seen")  # at the model's resolution
    assert np.array_equal(seen, colour_map(256)[LABELS[:: 64 // len(seen), :: 64 // len(seen)]])
