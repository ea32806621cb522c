"""The report: one page that needs nothing else, says what is out of date, and lets no label become markup."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from piti.cards import Cell, ReportCard, TableCard
from piti.cards.base import digest, to_dict
from piti.report.chain import Link, ancestors, read_chain
from piti.report.html import Cost, assumed, codes, costs, make_report, show_cell, shown_link, stale, trained
from piti.report.tables import make_table
from piti.store.files import InputError, write_failure, write_json

HOSTILE = "<script>alert(1)</script>"
DEVIATIONS = Path(__file__).parents[3] / "DEVIATIONS.md"


def made(path: Path, step: str, card: dict, inputs: dict | None = None, code: str = "new", **more) -> Path:
    """An artefact's card beside it, as its step leaves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    environment = {"python": "3", "platform": "p", "libraries": {"torch": "2"}, "commit": None, "dirty": None}
    files = {key: [str(p) for p in paths] for key, paths in (inputs or {}).items()}
    about = {"step": step, "digest": path.parts[-2], "card": card, "inputs": files}
    write_json(path.with_name("card.json"), about | {"made": {"code": code, "seconds": 1.0, **environment, **more}})
    return path


def score(value: float) -> dict:
    extractor = {"name": "clip", "layer": "last"}
    return {
        "value": value,
        "pseudo_values": [value] * 20,
        "sizes": [5] * 20,
        "kid": 0.0123,
        "n": 24,
        "extractor": extractor,
        "reference": "",
    }


@pytest.fixture
def report(tmp_path):
    """report(label=…, code=…, diverged=…) -> text of a page with one table of one trained cell."""

    def build(label: str = "Ours", code: str = "new", diverged: bool = False, remarks: tuple = ()) -> str:
        packed = made(tmp_path / "shards/a/eeeeeeeeee/index.json", "pack", {})
        write_json(packed, {"attributes": {"remarks": remarks} if remarks else {}})
        model = tmp_path / "models/row-task/aaaaaaaaaa/weights.safetensors"
        made(model, "train", {"seed": 0}, {"images": [packed]}, code=code)
        model.with_name("curve.csv").write_text("step,mse\n1,0.5\n2,0.25\n")
        scored = made(tmp_path / "scores/row-task/bbbbbbbbbb/score.json", "score", {"seed": 0}, {"fake": [model]})
        write_json(scored, score(12.34))
        if diverged:
            write_failure([model, scored], "diverged: mse is not finite at step 7")
        cells = (
            Cell(row=label, column="A", paper="8.9", scores=("bbbbbbbbbb",), seeds=(0,)),
            Cell(row=label, column="B", reason="no source configured"),
        )
        table = TableCard(
            name="t",
            title=label,
            preset="p",
            comparable=False,
            note=label,
            rows=(label,),
            columns=("A", "B"),
            cells=cells,
        )
        file = made(
            tmp_path / f"tables/t/{digest(table)}/table.csv", "make_table", to_dict(table), {"scores": [scored]}
        )
        make_table(table, file, [scored])
        claims = made(tmp_path / "claims/claims/cccccccccc/claims.json", "compare_scores", {})
        one = {"better": label, "than": "SPADE", "task": "A", "measure": label}
        one |= {"verdict": "held", "value": -2.0, "interval": [-3, -1]}
        skipped = {"verdict": "not run", "reason": "left out"}
        said = {"name": "c", "text": label, "verdict": "held"}
        said["orderings"] = [one | {"reason": "", "seeds": 1}, one | skipped]
        write_json(claims, {"claims": [said]})
        card = ReportCard(
            title=label,
            preset="p",
            note=label,
            comparable=False,
            tables=(digest(table),),
            figures=(),
            claims="cccccccccc",
            deviations="dddddddddd",
            code_now={"train": "new", "score": "new"},
        )
        output = tmp_path / "report.html"
        make_report(card, output, claims, DEVIATIONS, [file], [])
        return output.read_text()

    return build


def test_numbers_stand_beside_the_papers(report):
    page = report()
    score = ("12.3", "paper 8.9, +3.4", "12.3 to 12.3", "KID 0.012", "n = 24", "preset p")
    for text in (
        *score,
        "12.3",
        "paper 8.9, +3.4",
        "12.3 to 12.3",
        "KID 0.012",
        "n = 24",
        "preset p",
        "no source configured",
        "-3.00 to -1.00",
    ):
        assert text in page
    assert '<span class="held">held</span>: ' in page and "(1 of 2 parts run)" in page
    assert '<span class="not-run">not run</span>: left out' in page
    assert "STALE</span>" not in page


def test_what_packing_remarks_is_said(report):
    assert "not as declared" not in report()
    page = report(remarks=("d (test): found 3 photographs, the full data set has 5", HOSTILE))
    assert "found 3 photographs, the full data set has 5" in page and "not as declared" in page


def test_a_measure_without_kid_is_shown_too():
    row = {"value": "40.0", "low": "38", "high": "42", "paper": "-", "kid": ""}
    assert show_cell(row) == {"value": "40.0", "paper": "-", "difference": "", "interval": "38.0 to 42.0", "kid": ""}


def test_code_that_has_changed_marks_the_cell(report):
    assert report(code="old").count("STALE</span>") >= 2  # the cell and the card of the training


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
    assert trained([shown_link(scored, links)] * 2, links) == "11.0 min"
    assert trained([shown_link(photographs, links)], links) == ""


def test_a_failure_is_printed(report):
    assert "failed: diverged: mse is not finite at step 7" in report(diverged=True)


def test_nothing_printed_becomes_markup(report):
    page = report(label=HOSTILE, remarks=(HOSTILE,))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 6


class Links(HTMLParser):
    """Every link and every id of a page."""

    def __init__(self):
        super().__init__()
        self.links, self.ids = [], []

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("href", "src")]
        self.ids += [value for name, value in attributes if name == "id"]


def test_the_page_needs_nothing_else(report):
    page = Links()
    page.feed(report())
    assert all(link.startswith(("#", "data:image/")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert any(link.startswith("data:image/png") for link in page.links)  # the curve
    assert len(page.ids) == len(set(page.ids))


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
