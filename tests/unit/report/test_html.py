"""The report: one page that needs nothing else, says what is out of date, and lets no label become markup."""

from html.parser import HTMLParser

import pytest
from tests.unit.report.page import DEVIATIONS, made, page

from piti.cards import ReportCard
from piti.report import html
from piti.report.html import Cost, assumed, codes, costs, label, show_cell, shown_link, stale, trained
from piti.store.chain import Link, ancestors, read_chain
from piti.store.files import InputError

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def report(tmp_path):
    """report(label=…, code=…, diverged=…) -> text of a page."""
    return lambda **asked: page(tmp_path, **asked).read_text()


def test_numbers_that_compare_stand_beside_the_papers(report):
    text = report(comparable=True)
    for said in (
        "12.3",
        "paper 8.9, +3.4",
        "95 %: 12.3 to 12.3",
        "KID 0.012",
        "n = 24",
        "preset p",
        "trained with seed 0",
    ):
        assert said in text
    assert "The paper's numbers" not in text


def test_numbers_that_do_not_compare_stand_apart_without_a_difference(report):
    ours, paper, theirs = report().partition("<summary>The paper's numbers</summary>")
    assert paper
    assert "12.3" in ours and "95 %: 12.3 to 12.3" in ours
    assert "8.9" not in ours and "+3.4" not in ours + theirs
    assert "8.9" in theirs and "do not compare" in theirs


def test_claims_say_what_was_run(report):
    text = report()
    assert '<span class="verdict held">held</span> ' in text and "(1 of 2 parts run)" in text
    assert '<span class="verdict not-run">not run</span>: left out' in text
    assert ">-0.012</td>" in text and "-0.023 to -0.001" in text and "no source configured" in text
    assert "STALE</span>" not in text


def test_the_papers_tables_come_first_and_each_has_its_link(report):
    names = ["table1", "table2", "table3a", "alignment", "guidance"]
    text = report(tables=sorted(names))
    for place in ('href="#{}"', 'id="{}"'):
        where = [text.index(place.format(name)) for name in names]
        assert where == sorted(where)
    assert [label(name) for name in ("table3a", "metric_check", "figure12")] == [
        "Table 3a",
        "Metric check",
        "Figure 12",
    ]


def test_a_table_of_ones_own_is_none_of_the_papers(report):
    _, ours = report(tables=["table1", "table1_mine", "table3c", "table6"]).split("Our tables")
    assert all(f'id="{name}"' in ours for name in ("table1_mine", "table3c", "table6")) and 'id="table1"' not in ours


@pytest.mark.parametrize(
    ("rises", "said"), [(["yes", "no"], "of 2 kinds of damage to real images, 1 raise the distance"), (["-"], "")]
)
def test_damage_that_nobody_measured_is_no_damage_that_does_not_show(tmp_path, monkeypatch, rises, said):
    checked = {"name": "metric_check", "title": "T", "papers": False, "plain": True, "facts": [], "notes": []}
    checked |= {"columns": ["Distortion", "rises"], "rows": [(each, [each]) for each in rises], "apart": ([], [])}
    show = html.show_table
    monkeypatch.setattr(html, "show_table", lambda link, links: show(link, links) | checked)
    text = page(tmp_path).read_text()
    assert said in text and ("kinds of damage" in text) == bool(said)


def test_a_difference_has_the_digits_of_its_number_and_what_rounds_to_0_no_sign(report):
    row = {"value": "0.42", "low": "0.4", "high": "0.44", "kid": "", "comparable": "yes", "converged": ""}
    assert show_cell(row | {"paper": "0.35"})["difference"] == "+0.07"
    assert show_cell(row | {"paper": "1.2.3"})["difference"] == ""
    assert ">+0.000</td>" in report(difference=-0.0004)


def test_times_have_units(report):
    text = report()
    assert "made in 1 s by code" in text and "Hours" not in text and "Seconds" not in text


def test_what_packing_remarks_is_said(report):
    assert "not as declared" not in report()
    text = report(remarks=("d (test): found 3 photographs, the full data set has 5", HOSTILE))
    assert "found 3 photographs, the full data set has 5" in text and "not as declared" in text


def test_a_measure_without_kid_is_shown_too():
    row = {"value": "40.0", "low": "38", "high": "42", "paper": "-", "kid": "", "comparable": "yes", "converged": ""}
    assert show_cell(row) == {"value": "40.0", "paper": "-", "difference": "", "interval": "38.0 to 42.0", "kid": ""}


def test_a_small_distance_keeps_two_digits():
    """A distance by VGG16: at one decimal Ours and SPADE would both have 0.5, and photographs 0.0. So do KIDs."""
    row = {
        "value": "0.0364",
        "low": "0.027",
        "high": "0.0455",
        "paper": "-",
        "kid": "-0.00062",
        "comparable": "",
        "converged": "",
    }
    shown = show_cell(row)
    assert (shown["value"], shown["interval"], shown["kid"]) == ("0.036", "0.027 to 0.045", "-0.0006")
    for kid, text in {"0.0023": "0.0023", "587.295": "587.3", "-1e-9": "0.0000"}.items():
        assert show_cell(row | {"kid": kid})["kid"] == text


def test_every_piece_of_a_training_counts():
    """Who forces a training that is whole has its checkpoint exported by today's code, and not a step trained by it."""
    about = {"title": "t", "preset": "p", "comparable": False, "note": "", "claims": "c", "deviations": "d"}
    card = ReportCard(**about, tables=(), figures=(), code_now={"train": "new"})

    def made_by(*pieces: str) -> Link:
        return Link("w", "train", made={"code": "new", "history": [{"code": code} for code in pieces]})

    assert [stale(card, made_by(*codes)) for codes in (("new",), ("old",), ("old", "new"))] == [False, True, True]


def test_code_that_has_changed_marks_the_cell(report):
    text = report(code="old")
    assert text.count("STALE</span>") >= 2  # the cell and the card of the training
    claims = text[text.index('id="claims"') : text.index("when a claim is held")]
    assert claims.count("STALE</span>") == 2  # the claim and its ordering that was run
    assert "STALE" not in report()[text.index('id="claims"') :].partition("when a claim is held")[0]


def test_pieces_of_a_training_by_different_code_are_said():
    def piece(start, end, code):
        return {"from": start, "to": end, "code": code, "commit": "c" * 40, "dirty": False, "device": "cpu"}

    one = [piece(0, 5, "aaa"), piece(5, 9, "aaa")]
    assert codes(Link("x", made={"history": one})) == ["steps 0 to 9 by aaa (commit cccccccccc)"]
    two = codes(Link("x", made={"history": [*one, piece(9, 12, "bbb")]}))
    assert two == ["steps 0 to 9 by aaa (commit cccccccccc)", "steps 9 to 12 by bbb (commit cccccccccc)"]
    assert codes(Link("x")) == []


def test_what_was_trained_for_a_score_is_counted_once(tmp_path):
    prior = made(tmp_path / "models/prior/aaaaaaaaaa/weights.safetensors", "train", {}, seconds=600)
    stage = made(tmp_path / "models/stage/bbbbbbbbbb/weights.safetensors", "train", {}, {"init": [prior]}, seconds=60)
    reader = {"estimator": {"width": 8}}
    judge = made(tmp_path / "models/judge/dddddddddd/weights.safetensors", "train", reader, seconds=300)
    files = {"fake": [prior, stage], "network": [judge]}
    scored, photographs = (
        made(tmp_path / f"scores/{name}/cccccccccc/score.json", "score", {}, inputs, seconds=5)
        for name, inputs in (("ours", files), ("photographs", {"network": [judge]}))
    )
    links = {}
    assert trained([shown_link(scored, links)] * 2, links) == "11 min"
    assert trained([shown_link(photographs, links)], links) == ""


def test_a_failure_is_printed(report):
    assert "failed: diverged: mse is not finite at step 7" in report(diverged=True)


def test_nothing_printed_becomes_markup(report):
    text = report(label=HOSTILE, remarks=(HOSTILE,), claims=(HOSTILE,))
    assert text.count("<script") == 1  # our own
    assert text.count("&lt;script&gt;") >= 6


class Links(HTMLParser):
    """Every link and every id of a page."""

    def __init__(self):
        super().__init__()
        self.links, self.ids = [], []

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("href", "src")]
        self.ids += [value for name, value in attributes if name == "id"]


def test_the_page_needs_nothing_else(report):
    found = Links()
    found.feed(report(tables=("table1", "alignment"), figures=("figure1",)))
    assert all(link.startswith(("#", "data:image/")) for link in found.links)
    assert {link[1:] for link in found.links if link.startswith("#")} <= set(found.ids)
    assert any(link.startswith("data:image/png") for link in found.links)  # the curve
    assert len(found.ids) == len(set(found.ids))


def test_a_changed_downloader_makes_nothing_stale(tmp_path):
    now = {"download": "new", "pack": "new"}
    said = dict.fromkeys(("title", "preset", "note", "claims", "deviations"), "")
    card = ReportCard(**said, comparable=False, tables=(), figures=(), code_now=now)
    for step, expected in (("download", False), ("pack", True)):
        file = made(tmp_path / f"x/{step}/0000000000/f", step, {}, code="old")
        assert stale(card, read_chain(file, {})) is expected


def test_cost_counts_every_piece_of_a_training_and_what_is_shared_once_a_table(tmp_path):
    piece = {"device": "A100", "processes": 4, "seconds": 3600.0}
    history = {"gpu_seconds": 8 * 3600.0, "history": [piece, piece], "seconds": 3600.0}
    model = made(tmp_path / "models/m/1111111111/f", "train", {}, **history)
    links = {}
    scores = [
        read_chain(made(tmp_path / f"scores/s/{n * 10}/f", "score", {}, {"fake": [model]}, seconds=1800.0), links)
        for n in "23"
    ]
    tables = [{"name": n, "link": link} for n, link in zip("xy", scores, strict=True)]
    one, whole = Cost(1, 8.0, "A100", 2.5), Cost(1, 8.0, "A100", 3.0)
    assert costs(tables, links) == {"x": one, "y": one, "the whole page": whole}


def test_a_table_without_its_card_is_refused(tmp_path):
    (tmp_path / "table.csv").write_text("Method,A")
    with pytest.raises(InputError, match=r"table.csv: found no card.json beside it"):
        shown_link(tmp_path / "table.csv", {})


def test_chain_holds_each_artefact_once(tmp_path):
    data = made(tmp_path / "data/d/0000000000/synthetic", "draw_scenes", {})
    left, right = (made(tmp_path / f"x/{n}/{n * 10}/f", "pack", {}, {"root": [data]}) for n in "12")
    own = tmp_path / "photographs"
    top = made(tmp_path / "scores/s/3333333333/score.json", "score", {}, {"real": [left, own], "fake": [right]})
    links = {}
    names = [link.name for link in ancestors(read_chain(top, links), links)]
    assert names == ["s", "1", str(own), "2", "d"]


def test_assumptions_come_from_deviations(tmp_path):
    rows = list(assumed(DEVIATIONS))
    assert len(rows) > 5
    assert all(len(row) == 3 for row in rows)
    (tmp_path / "d.md").write_text("# Nothing\n")
    with pytest.raises(InputError, match=r"Assumed: found no table"):
        list(assumed(tmp_path / "d.md"))
