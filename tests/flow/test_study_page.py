"""A rater in a real browser votes by keyboard and mouse, reloads, resumes and saves; the saved file makes the table."""

import csv
import io
import json
import time

import numpy as np
import pytest
from tests.flow.browser import browser, needs_browser
from tests.house import run

from piti.cards import Comparison, Contestant, StudyCard, TallyCard
from piti.cards.base import dumps
from piti.data import shards

pytestmark = needs_browser
METHODS = ("ours", "spade", "oasis")
KEYS = {"left": ("1", "\ue012"), "right": ("2", "\ue014")}  # the codes are the arrow keys


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of 2 x 4 pairs, made by its step."""
    folder, ids = tmp_path_factory.mktemp("study"), [f"image{n}" for n in range(9)]
    for number, method in enumerate(METHODS):
        pictures = np.random.default_rng(number).integers(0, 256, (9, 8, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)
        shards.write(folder / method, "images", ids, lambda some, p=pictures: p[[ids.index(i) for i in some]], 9, 64)
    ours, *against = (Contestant(method=method, samples=method) for method in METHODS)
    card = StudyCard(ours=ours, against=tuple(against), pairs=4, seed=0, page="page1")
    samples = [str(folder / method / "index.json") for method in METHODS]
    step("make_study", card, folder / "key.json", "--ours", samples[0], "--against", *samples[1:])
    return folder


def step(name, card, output, *arguments):
    made = run("-m", f"piti.steps.{name}", "--card", dumps(card), *arguments, "--output", str(output))
    assert made.returncode == 0, made.stderr
    return made


def shown(window) -> tuple[str, str]:
    """The pair on the screen, once both of its pictures are there, and its place."""
    window.wait("!document.querySelector('.pair').classList.contains('loading')")
    left, right = window.run(
        "return [...document.querySelectorAll('.pair img')].map(i => i.currentSrc.split('/').pop())"
    )
    assert left.removesuffix("-left.png") == right.removesuffix("-right.png")
    return left.removesuffix("-left.png"), window.run("return document.querySelector('#place').textContent")


def test_a_rater_votes_and_the_table_appears(study, tmp_path):
    pairs = json.loads((study / "key.json").read_text())["pairs"]

    def preferred(token):  # Ours rather than SPADE, and OASIS rather than Ours
        ours = pairs[token]["ours"]
        return ours if pairs[token]["over"] == "spade" else {"left": "right", "right": "left"}[ours]

    with browser(tmp_path) as window:
        window.open(f"file://{study}/page/index.html")
        window.run("document.querySelector('#voter').value = 'rater \"one\", x'")
        window.click("form .main")
        seen = []
        for number in range(3):  # by keyboard
            token, place = shown(window)
            assert place == f"Pair {number + 1} of 8"
            seen.append(token)
            window.press(KEYS[preferred(token)][number % 2])
        token, _ = shown(window)
        window.press("1")  # by mistake
        assert shown(window)[0] != token
        window.press("\ue003")  # backspace
        window.wait("document.querySelector('#place').textContent == 'Pair 4 of 8'")
        assert shown(window)[0] == token
        window.open(f"file://{study}/page/index.html")
        assert shown(window) == (token, "Pair 4 of 8")
        for _ in range(5):  # by mouse
            token, _ = shown(window)
            seen.append(token)
            window.click(f"[data-side={preferred(token)}]")
        window.wait("!document.querySelector('#end').hidden")
        window.click("#end .save")
        saved = tmp_path / "votes-rater__one___x.csv"
        until = time.monotonic() + 20
        while not saved.exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        window.click("#next")  # the next person starts with nothing
        window.click("form .main")
        assert shown(window)[1] == "Pair 1 of 8"

    assert sorted(seen) == sorted(pairs)
    rows = list(csv.DictReader(io.StringIO(saved.read_text())))
    assert [row["pair"] for row in rows] == seen
    assert {(row["voter"], row["page"]) for row in rows} == {('rater "one", x', "page1")}

    (tmp_path / "votes").mkdir()
    saved.rename(tmp_path / "votes" / saved.name)
    comparisons = (
        Comparison(over="spade", label="SPADE", paper="93.6"),
        Comparison(over="oasis", label="OASIS", paper="84.1"),
    )
    card = TallyCard(
        name="table2",
        title="User study",
        preset="test",
        comparable=False,
        note="",
        ours="Ours",
        study="x",
        comparisons=comparisons,
    )
    output = tmp_path / "table.csv"
    step("tally_study", card, output, "--study", str(study / "key.json"), "--votes", str(tmp_path / "votes"))
    spade, oasis = csv.DictReader(io.StringIO(output.read_text()))
    assert (spade["Ours over"], spade["Preference (%)"], spade["Votes"], spade["Voters"]) == (
        "SPADE",
        "100.0",
        "4",
        "1",
    )
    assert (oasis["Ours over"], oasis["Preference (%)"], oasis["Votes"], oasis["Voters"]) == ("OASIS", "0.0", "4", "1")


@pytest.mark.parametrize(("width", "height", "phone"), [(1280, 800, False), (360, 640, True), (640, 360, True)])
def test_everything_fits_on_the_screen(study, tmp_path, width, height, phone):
    with browser(tmp_path) as window:
        window.resize(width, height, phone)
        window.open(f"file://{study}/page/index.html")
        window.screenshot(tmp_path / "start.png")
        window.click("form .main")
        shown(window)
        window.screenshot(tmp_path / "pair.png")
        script = "return [...document.querySelectorAll('#vote :is(button, img)')].map(e => e.getBoundingClientRect())"
        boxes = window.run(script)
    for box in boxes:
        assert box["left"] >= 0
        assert box["top"] >= 0
        assert box["right"] <= width
        assert box["bottom"] <= height
    assert max(box["width"] for box in boxes) >= 0.6 * min(width, height)
