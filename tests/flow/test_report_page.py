"""The report in a real browser, on a phone and on a laptop: what comes first, what is folded, what opens."""

import pytest
from tests.flow.browser import browser, needs_browser
from tests.house import ROOT
from tests.unit.report.page import page

from piti.config import load

pytestmark = needs_browser
TABLES = ("alignment", "guidance", "metric_check", "table1", "table2", "table3a", "table3b", "table4", "table5")
FIGURES = tuple(f"figure{number}" for number in range(1, 22))
PHONE, LAPTOP = (390, 844, True), (1280, 800, False)
TOP = "document.querySelector(arguments[0]).getBoundingClientRect().top + scrollY"


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    """A browser with a report of all of the paper's claims open."""
    folder = tmp_path_factory.mktemp("report")
    claims = [claim.text for claim in load({"preset": "paper"}, ROOT / "config").claims.values()]
    label = "Ours, a-long-unbroken-name"
    file = page(folder, label=label, tables=TABLES, figures=FIGURES, claims=claims, remarks=("found 3, expected 5",))
    with browser(folder) as window:
        window.file = f"file://{file}"
        yield window


def shown(window, size, part="") -> None:
    window.resize(*size)
    window.open("about:blank")
    window.open(window.file + part)
    window.wait("document.readyState == 'complete'")


def is_open(window, selector) -> bool:
    return window.run("return document.querySelector(arguments[0]).open", selector)


@pytest.mark.parametrize("size", [PHONE, LAPTOP])
def test_nothing_is_wider_than_the_screen_folded_or_unfolded(window, size):
    shown(window, size)
    for unfold in ("", "document.querySelectorAll('details').forEach(part => part.open = true);"):
        wide = window.run(
            f"{unfold} return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, unfold


@pytest.mark.parametrize("size", [PHONE, LAPTOP])
def test_first_come_verdicts_and_what_to_believe_then_table_1(window, size):
    shown(window, size)
    assert window.run(f"return {TOP}", "#claims + p .held") < size[1]
    places = [window.run(f"return {TOP}", selector) for selector in (".claim", "#belief", "#table1", "#table2")]
    assert max(places[:2]) < places[2] < 2 * size[1]
    assert places[2] < places[3]


def test_on_a_phone_all_but_table_1_is_folded_and_a_link_opens_what_it_names(window):
    shown(window, PHONE)
    assert is_open(window, "#table1")
    assert window.run("return document.documentElement.scrollHeight") < 8 * PHONE[1]
    for name in (
        *(name for name in TABLES if name != "table1"),
        "figures",
        "curves",
        "assumed",
        "data",
        "cost",
        "cards",
    ):
        assert not is_open(window, f"#{name}")
        window.click(f"nav [href='#{name}']")
        window.wait(f"document.querySelector('#{name}').open")
        assert (
            window.run("return document.querySelector(arguments[0]).getBoundingClientRect().top", f"#{name}") < PHONE[1]
        )
    window.click("#alignment summary")
    assert not is_open(window, "#alignment")


def test_on_a_laptop_tables_and_figures_are_open(window):
    shown(window, LAPTOP)
    assert all(is_open(window, f"#{name}") for name in (*TABLES, "figures", "curves"))
    assert not any(is_open(window, f"#{name}") for name in ("assumed", "data", "cost", "cards"))


@pytest.mark.parametrize("size", [PHONE, LAPTOP])
def test_a_thumbnail_opens_and_closes(window, size):
    shown(window, size, "#figures")
    width = "document.querySelector('#figure3 img').getBoundingClientRect().width"
    small = window.run(f"return {width}")
    assert small < size[0] / 2
    window.click("#figure3 summary")
    window.wait(f"{width} > {max(2 * small, 0.8 * size[0])}")
    window.click("#figure3 summary")
    window.wait(f"{width} == {small}")


def test_what_is_printed_is_unfolded(window):
    shown(window, LAPTOP)
    window.run("dispatchEvent(new Event('beforeprint'))")
    assert all(is_open(window, part) for part in (".claim", "#assumed", "#figure21", "#table1 .apart"))


def test_a_link_to_a_card_unfolds_the_way_to_it(window):
    shown(window, PHONE, "#train-aaaaaaaaaa")
    assert is_open(window, "#cards") and is_open(window, "#train-aaaaaaaaaa")
