"""Tables print a number, or why there is none, and never numbers that do not compare."""

from dataclasses import replace

import pandas as pd
import pytest
from tests.unit.report.page import made as trace

from piti.cards import Cell, TableCard
from piti.report.tables import make_table
from piti.store.files import InputError, write_failure, write_json


def score(value, n=100, reference="real", extractor="inception", higher_is_better=False):
    extractor = {"name": extractor, "layer": "pool"}
    found = {
        "value": value,
        "pseudo_values": [value] * 20,
        "sizes": [5] * 20,
        "kid": 0.5,
        "n": n,
        "extractor": extractor,
    }
    return found | {"reference": reference, "higher_is_better": higher_is_better}


def cell(row, *digests, column="ADE20K", **more):
    return Cell(row=row, column=column, scores=digests, seeds=tuple(range(len(digests))), run=f"{row}/x", **more)


def table(cells, comparable=True):
    rows, columns = (tuple(dict.fromkeys(getattr(c, key) for c in cells)) for key in ("row", "column"))
    return TableCard(
        name="table1",
        title="T",
        preset="paper",
        comparable=comparable,
        note="",
        rows=rows,
        columns=columns,
        cells=tuple(cells),
    )


def made(tmp_path, cells, scores, comparable=True):
    """The table of `cells`; `scores` are dictionaries or reasons of failure, cell by cell."""
    files = []
    for number, found in enumerate(scores):
        files.append(tmp_path / f"{number}.json")
        write_failure(files[-1:], found) if isinstance(found, str) else write_json(files[-1], found)
    make_table(table(cells, comparable), tmp_path / "table.csv", files)
    long = pd.read_csv(tmp_path / "long.csv", keep_default_na=False)
    wide = pd.read_csv(tmp_path / "table.csv", index_col=0, keep_default_na=False)
    assert (wide["preset"] == "paper").all() and (wide["note"] == "").all()
    return wide.drop(columns=["preset", "note", "n"]), long, (tmp_path / "table.md").read_text()


def test_a_number_a_reason_and_a_failure(tmp_path):
    cells = [cell("Ours", "a", paper="8.9"), cell("SPADE", "b"), cell("OASIS", reason="no source configured")]
    wide, long, text = made(tmp_path, cells, [score(12.345), "diverged: mse is not finite at step 7"])
    assert wide["ADE20K"].tolist() == ["12.3", "failed: diverged: mse is not finite at step 7", "no source configured"]
    assert long["value"].tolist() == ["12.345", "", ""] and long["n"].tolist()[0] == "100"
    assert long.loc[0, ["paper", "extractor", "preset", "comparable", "card"]].tolist() == [
        "8.9",
        "inception",
        "paper",
        "yes",
        "a",
    ]
    assert "12.3 (8.9)" in text and "n = 100" in text


def test_the_papers_numbers_stand_apart_where_they_do_not_compare(tmp_path):
    cells = [cell("Ours", "a", paper="8.9"), cell("SPADE", "b"), cell("OASIS", reason="none", paper="14.8")]
    _, _, text = made(tmp_path, cells, [score(12.345), score(13)], comparable=False)
    ours, theirs = text.split("\n\nThe paper's own numbers")
    assert "12.3" in ours and "8.9" not in text.replace(theirs, "") and "brackets" not in text
    assert [line.split()[1:-1:2] for line in theirs.splitlines() if "Ours" in line or "OASIS" in line] == [
        ["Ours", "8.9"],
        ["OASIS", "14.8"],
    ]
    assert "SPADE" not in theirs


def test_a_failed_seed_fails_the_cell(tmp_path):
    wide, _, _ = made(tmp_path, [cell("Ours", "a", "b")], [score(10), "diverged: x"])
    assert wide.loc["Ours", "ADE20K"] == "failed: diverged: x"


def test_seeds_are_averaged_and_give_the_interval(tmp_path):
    _, long, _ = made(tmp_path, [cell("Ours", "a", "b")], [score(10), score(14)])
    assert float(long.loc[0, "value"]) == 12
    half = 12.706204736 * 2 / 2**0.5 * 2**0.5  # t(0.975, 1) * s / sqrt(2), s = 2 sqrt(2)
    assert float(long.loc[0, "high"]) == pytest.approx(12 + half)


def test_the_best_of_several_says_so(tmp_path):
    """The best on average over the trainings, not in the first of them."""
    selected = replace(cell("OASIS", "a", "b", "c", "d", selected=True), seeds=(0, 1))
    wide, long, text = made(tmp_path, [selected], [score(14), score(20), score(16), score(15)])
    assert str(wide.loc["OASIS", "ADE20K"]) == "15.5"
    assert "best of 2 on the test set" in long.loc[0, "selected"] and "OASIS: selected on the test set" in text


def test_the_best_is_marked_by_its_own_trainings(tmp_path):
    """Not by those of the alternative that is not shown."""
    scores = []
    for name, value, converged in (("spade", 10, True), ("oasis", 20, False)):
        model = trace(tmp_path / f"models/{name}/aaaaaaaaaa/weights.safetensors", "train", {}, converged=converged)
        scores.append(trace(tmp_path / f"scores/{name}/bbbbbbbbbb/score.json", "score", {}, {"fake": [model]}))
        write_json(scores[-1], score(value))
    best = replace(cell("Best", "a", "b", selected=True, by_rule=True), seeds=(0,))
    make_table(table([best]), tmp_path / "table.csv", scores)
    assert pd.read_csv(tmp_path / "table.csv")["ADE20K"].astype(str).tolist() == ["10.0"]


def test_a_training_that_did_not_converge_marks_its_cells(tmp_path):
    """However far behind the score it lies, and in every file."""
    scores = []
    for name, ended in (("spade", {"converged": True}), ("ours", {"converged": False}), ("scratch", {})):
        model = trace(tmp_path / f"models/{name}/aaaaaaaaaa/weights.safetensors", "train", {}, **ended)
        scores.append(trace(tmp_path / f"scores/{name}/bbbbbbbbbb/score.json", "score", {}, {"fake": [model]}))
        write_json(scores[-1], score(10))
    cells = [cell(row, row) for row in ("SPADE", "Ours", "Scratch")]
    make_table(table(cells), tmp_path / "table.csv", scores)
    wide, long = pd.read_csv(tmp_path / "table.csv", keep_default_na=False), pd.read_csv(tmp_path / "long.csv")
    assert wide["ADE20K"].tolist() == ["10.0", "10.0†", "10.0"] and wide["note"].str.contains("not converged").all()
    assert long["converged"].fillna("").tolist() == ["", "no", ""]
    assert "10.0†" in (tmp_path / "table.md").read_text() and "**† not converged" in (tmp_path / "table.md").read_text()
    assert r"10.0\dag{}" in (tmp_path / "table.tex").read_text()


def test_whose_cards_are_elsewhere_may_not_have_converged(tmp_path):
    gone = tmp_path / "models/ours/aaaaaaaaaa/weights.safetensors"
    scored = trace(tmp_path / "scores/ours/bbbbbbbbbb/score.json", "score", {}, {"fake": [gone]})
    write_json(scored, score(10))
    make_table(table([cell("Ours", "a", by_rule=True)]), tmp_path / "table.csv", [scored])
    wide, long = pd.read_csv(tmp_path / "table.csv"), pd.read_csv(tmp_path / "long.csv")
    assert wide["ADE20K"].tolist() == ["10.0†"] and wide["note"].str.contains("may not have converged").all()
    assert long["converged"].tolist() == ["unknown"]


def test_a_substitution_is_never_comparable(tmp_path):
    cells = [cell("Ours", "a", substitution="the paper's set is proprietary")]
    _, long, text = made(tmp_path, cells, [score(10)])
    assert long.loc[0, "comparable"] == "no" and "proprietary" in text


def test_the_best_is_the_highest_where_more_is_better(tmp_path):
    scores = [score(20, higher_is_better=True), score(15, higher_is_better=True)]
    wide, _, _ = made(tmp_path, [replace(cell("OASIS", "a", "b", selected=True), seeds=(0,))], scores)
    assert str(wide.loc["OASIS", "ADE20K"]) == "20.0"


def test_columns_of_different_measures_stand_side_by_side(tmp_path):
    cells = [cell("Ours", "a"), cell("Ours", "b", column="mIoU % ↑")]
    without_kid = {key: value for key, value in score(55, extractor="small_unet").items() if key != "kid"}
    wide, long, _ = made(tmp_path, cells, [score(10), without_kid])
    assert wide.loc["Ours"].tolist() == [10.0, 55.0]
    assert long["extractor"].tolist() == ["inception", "small_unet"] and long["kid"].tolist() == ["0.5", ""]


@pytest.mark.parametrize(
    "other, key", [({"n": 99}, "n"), ({"reference": "other"}, "reference"), ({"extractor": "vgg16"}, "extractor")]
)
def test_refuses_what_does_not_compare(tmp_path, other, key):
    with pytest.raises(InputError, match=f"table1: ADE20K: {key}: found"):
        made(tmp_path, [cell("Ours", "a"), cell("SPADE", "b")], [score(10), score(11, **other)])
    assert not (tmp_path / "table.csv").exists()


@pytest.mark.parametrize("other", [{"n": 99}, {"reference": "other"}, {"extractor": "vgg16"}])
def test_refuses_trainings_of_one_cell_that_do_not_compare(tmp_path, other):
    """Their mean would be of nothing, and n that of the first."""
    (key,) = other
    with pytest.raises(InputError, match=f"table1: Ours, ADE20K: {key}: found .* and .*, expected the same in all"):
        made(tmp_path, [cell("Ours", "a", "b"), cell("SPADE", reason="-")], [score(10), score(11, **other)])


def test_n_is_a_whole_number_whatever_is_missing(tmp_path):
    """It was 100.0 beside a cell without a number."""
    cells = [cell("Ours", "a"), cell("SPADE", "b"), cell("OASIS", reason="none")]
    _, long, _ = made(tmp_path, cells, [score(10), score(11)])
    assert long["n"].tolist() == ["100", "100", ""]
    with pytest.raises(InputError, match="n: found 99, 100, expected"):
        made(tmp_path, cells, [score(10), score(11, n=99)])


def test_a_bar_in_a_label_ends_no_cell(tmp_path):
    _, _, text = made(tmp_path, [cell("Ours | mine", "a")], [score(12.3)])
    assert r"| Ours \| mine | 12.3 " in text


def test_refuses_a_wrong_number_of_files(tmp_path):
    with pytest.raises(InputError, match="scores: found 1 files"):
        made(tmp_path, [cell("Ours", "a", "b")], [score(10)])


# -- to publish --------------------------------------------------------------------------------------------------------


def latex(tmp_path) -> dict[str, list[str]]:
    """The cells of table.tex by row."""
    body = (tmp_path / "table.tex").read_text().partition("\\midrule\n")[2].partition("\\bottomrule")[0]
    lines = [line.removesuffix(r" \\").split(" & ") for line in body.splitlines()]
    return {row: cells for row, *cells in lines}


def test_latex_has_the_best_bold_and_the_second_underlined(tmp_path):
    cells = [cell(row, row, column=column) for row in "ABCD" for column in ("FID ↓", "mIoU % ↑")]
    cells += [cell("Photographs", "p", column="FID ↓", ceiling=True), cell("E", column="FID ↓", reason="100 % & x_1")]
    cells += [cell("Photographs", "p", column="mIoU % ↑", ceiling=True), cell("E", column="mIoU % ↑", reason="-")]
    scores = []
    for low, high in ((3.04, 10), (3.01, 30), (5, 20), (7, 20)):
        scores += [score(low), score(high, extractor="unet", higher_is_better=True)]
    scores += [score(1), score(99, extractor="unet", higher_is_better=True)]
    made(tmp_path, cells, scores)
    assert latex(tmp_path) == {
        "A": [r"\textbf{3.0}", "10.0"],
        "B": [r"\textbf{3.0}", r"\textbf{30.0}"],
        "C": [r"\underline{5.0}", r"\underline{20.0}"],
        "D": ["7.0", r"\underline{20.0}"],
        "Photographs": ["1.0", "99.0"],
        "E": [r"100 \% \& x\_1", "-"],
    }
    text = (tmp_path / "table.tex").read_text()
    assert r"Method & FID $\downarrow$ & mIoU \% $\uparrow$ \\" in text and r"\usepackage{booktabs}" in text
    assert r"\caption{T. Preset paper. n = 100.}" in text and text.count("{") == text.count("}")


def test_latex_takes_for_equal_only_what_is_shown_as_equal(tmp_path):
    """Distances by VGG16 are far below 1."""
    cells = [cell(row, row) for row in "ABCD"]
    made(tmp_path, cells, [score(value) for value in (0.34, 0.26, 0.47, 12.34)])
    assert latex(tmp_path) == {"A": [r"\underline{0.34}"], "B": [r"\textbf{0.26}"], "C": ["0.47"], "D": ["12.3"]}


def test_the_csv_of_a_smoke_run_says_what_it_is(tmp_path):
    card = TableCard(
        name="t",
        title="T",
        preset="smoke",
        comparable=False,
        note="numbers are meaningless",
        rows=("Ours",),
        columns=("A",),
        cells=(cell("Ours", "a", column="A"),),
    )
    write_json(tmp_path / "0.json", score(1, n=24))
    make_table(card, tmp_path / "table.csv", [tmp_path / "0.json"])
    line = pd.read_csv(tmp_path / "table.csv").iloc[0]
    assert line[["preset", "note", "n"]].tolist() == ["smoke", "numbers are meaningless", 24]
    assert pd.read_csv(tmp_path / "long.csv")["note"].tolist() == ["numbers are meaningless"]
    for file in ("table.tex", "table.md"):
        text = (tmp_path / file).read_text()
        assert "numbers are meaningless" in text and "preset smoke" in text.lower()
