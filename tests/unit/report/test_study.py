"""The user study: pairs that tell nothing, and votes that count once."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.house import ROOT

from piti.cards import Comparison, Contestant, StudyCard, TallyCard
from piti.config import load
from piti.data import shards
from piti.plan import resolve
from piti.report.study import votes
from piti.report.study.make import make_study
from piti.report.study.pairs import draw
from piti.report.study.tally import tally_study
from piti.store.files import InputError, write_failure

IDS = [f"image{n:02}" for n in range(20)]
COLOUR = {"ours": 10, "spade": 20, "oasis": 30}  # grey level of each method's pictures


def contestant(method: str) -> Contestant:
    return Contestant(method=method, samples=f"digest-{method}")


def card(**changes) -> StudyCard:
    against = (contestant("spade"), contestant("oasis"))
    return StudyCard(
        **({"ours": contestant("ours"), "against": against, "pairs": 6, "seed": 3, "page": "v1"} | changes)
    )


@pytest.fixture
def samples(tmp_path):
    """Index files of samples, by method."""

    def grey(method):
        return lambda ids: np.full((len(ids), 4, 4, 3), COLOUR[method], np.uint8)

    return {m: shards.write(tmp_path / m, "images", IDS, grey(m), shard_size=8, resolution=4) for m in COLOUR}


# -- pairs -------------------------------------------------------------------------------------------------------------


def test_pairs_are_drawn_by_seed():
    pairs = draw(card(), ["spade", "oasis"], IDS)
    assert pairs == draw(card(), ["spade", "oasis"], IDS)
    assert {p.token for p in pairs}.isdisjoint({p.token for p in draw(card(seed=4), ["spade", "oasis"], IDS)})
    assert sorted(p.over for p in pairs) == ["oasis"] * 6 + ["spade"] * 6


def test_no_picture_of_ours_is_seen_twice_while_there_are_enough():
    assert len({p.image for p in draw(card(), ["spade", "oasis"], IDS)}) == 12
    few = draw(card(pairs=50), ["spade", "oasis"], IDS)
    assert len(few) == 40
    assert len({(p.over, p.image) for p in few}) == 40


def test_neither_side_nor_order_tells_whose_a_picture_is():
    ids = [str(n) for n in range(2000)]
    pairs = draw(card(pairs=1000), ["spade", "oasis"], ids)
    left = np.array([p.ours == "left" for p in pairs])
    spade = np.array([p.over == "spade" for p in pairs])
    half = np.arange(2000) < 1000
    even = np.array([int(p.token, 16) % 2 == 0 for p in pairs])
    for hint in (spade, half, even):
        assert abs(left[hint].mean() - 0.5) < 0.07  # four standard deviations
    assert abs(spade[half].mean() - 0.5) < 0.07


def test_a_new_page_keeps_the_tokens():
    assert draw(card(page="v2", code="x"), ["spade"], IDS) == draw(card(), ["spade"], IDS)


# -- the page ----------------------------------------------------------------------------------------------------------


def test_the_page_shows_what_the_key_says_and_names_nobody(samples, tmp_path):
    make_study(card(), tmp_path / "key.json", [samples["ours"]], [samples["spade"], samples["oasis"]])
    key, page = json.loads((tmp_path / "key.json").read_text()), tmp_path / "page"
    assert len(key["pairs"]) == 12
    for token, pair in key["pairs"].items():
        other = {"left": "right", "right": "left"}[pair["ours"]]
        for resolution, method in ((pair["ours"], "ours"), (other, pair["over"])):
            assert np.unique(Image.open(page / "images" / f"{token}-{resolution}.png")).tolist() == [COLOUR[method]]
    files = [file for file in page.rglob("*") if file.is_file()]
    assert len(files) == 24 + len(["index.html", "study.css", "study.js", "pairs.js", "amt.html", "amt.csv"])
    for file in files:
        told = (str(file.relative_to(page)) + (file.read_text() if file.suffix != ".png" else "")).lower()
        assert not any(word in told for word in ("ours", "spade", "oasis", "digest-", "image0", "image1")), file
    with open(page / "amt.csv", newline="") as handle:
        assert [(row["pair"], row["page"]) for row in csv.DictReader(handle)] == [(t, "v1") for t in key["pairs"]]


def test_an_opponent_without_pictures_is_left_out(samples, tmp_path):
    write_failure([samples["spade"]], "diverged at step 7")
    none = Contestant(method="oasis", reason="no source configured")
    make_study(card(against=(contestant("spade"), none)), tmp_path / "key.json", [samples["ours"]], [samples["spade"]])
    left_out = {"spade": "failed: diverged at step 7", "oasis": "no source configured"}
    assert json.loads((tmp_path / "key.json").read_text()) == {"pairs": {}, "left_out": left_out}
    assert (tmp_path / "page" / "index.html").is_file()


def test_without_ours_there_is_nothing_to_compare(samples, tmp_path):
    write_failure([samples["ours"]], "diverged")
    make_study(card(), tmp_path / "key.json", [samples["ours"]], [samples["spade"], samples["oasis"]])
    found = json.loads((tmp_path / "key.json").read_text())
    assert found == {"pairs": {}, "left_out": {"spade": "failed: diverged", "oasis": "failed: diverged"}}


# -- the count ---------------------------------------------------------------------------------------------------------

KEY = {
    "pairs": {
        "a": {"over": "spade", "image": "1", "ours": "left"},
        "b": {"over": "spade", "image": "2", "ours": "right"},
        "c": {"over": "oasis", "image": "3", "ours": "left"},
    },
    "left_out": {},
}


@pytest.fixture
def tally(tmp_path):
    """tally(files, key): the table, the long table and what was rejected."""
    comparisons = (
        Comparison(over="spade", label="SPADE", paper="93.6"),
        Comparison(over="oasis", label="OASIS", paper="84.1"),
    )
    about = {"name": "table2", "title": "User study", "preset": "test", "comparable": False, "note": ""}
    table2 = TallyCard(**about, ours="Ours", study="x", comparisons=comparisons)

    def count(files: dict[str, str] | None, key=KEY):
        (tmp_path / "key.json").write_text(json.dumps(key))
        folder = tmp_path / "votes"
        for name, text in (files or {}).items():
            folder.mkdir(exist_ok=True)
            (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        output = tmp_path / "table.csv"
        more = tally_study(table2, output, tmp_path / "key.json", folder if files is not None else None)
        table = pd.read_csv(output, index_col=0, dtype=str, keep_default_na=False)
        assert r"\begin{tabular}" in (tmp_path / "table.tex").read_text()
        assert (tmp_path / "table.md").read_text().startswith("# table2: User study (preset test)\n")
        return table.drop(columns=["preset", "note", "n"]), pd.read_csv(tmp_path / "long.csv"), more["rejected"]

    return count


HEAD = "pair,choice,voter,time,page\n"


def test_preference_is_the_share_of_votes_for_ours(tally):
    one = HEAD + "a,left,ann,t,v1\nb,right,ann,t,v1\nc,right,ann,t,v1\n"
    two = HEAD + "a,right,bob,t,v1\nb,right,bob,t,v1\n"
    table, long, rejected = tally({"one.csv": one, "two.csv": two})
    assert not rejected
    assert table.loc["SPADE"].tolist() == ["75.0", "30.1 to 95.4", "2", "4", "93.6"]  # Wilson for 3 of 4
    assert table.loc["OASIS"].tolist() == ["0.0", "0.0 to 79.3", "1", "1", "84.1"]
    assert long["value"].tolist() == [75.0, 0.0]


def test_what_does_not_count_is_said_and_counted(tally, capsys):
    bad = (
        HEAD
        + "a,left,ann,t,v1\na,right,ann,t,v1\nz,left,ann,t,v1\nb,middle,ann,t,v1\nb\n,left,ann,t,v1\nb,left,,t,v1\n"
    )
    table, _, rejected = tally({"bad.csv": bad, "junk.csv": b"\xff\xfe\x00"})
    assert rejected == {"duplicate": 1, "foreign pair": 1, "malformed": 5}
    assert table.loc["SPADE", ["Preference (%)", "Votes"]].tolist() == ["100.0", "1"]  # the first vote counts
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 7
    assert "bad.csv:3: duplicate: 'ann' has voted on 'a' before" in said[0]
    assert "bad.csv:4: foreign pair: found 'z'" in said[1]


def test_results_of_mechanical_turk_are_read(tally):
    turk = '"HITId","WorkerId","Input.pair","Input.page","Answer.choice"\n"h","W1","a","v1","left"\n'
    table, _, rejected = tally({"batch.csv": turk})
    assert table.loc["SPADE", "Votes"] == "1"
    assert not rejected


def test_work_that_was_rejected_on_mechanical_turk_does_not_count(tally):
    """Its results list rejected assignments as they list all others."""
    turk = "AssignmentStatus,WorkerId,Input.pair,Answer.choice\n"
    turk += "Rejected,W1,a,right\nApproved,W2,a,left\nSubmitted,W3,a,left\n"
    table, _, rejected = tally({"batch.csv": turk})
    assert table.loc["SPADE", ["Preference (%)", "Votes"]].tolist() == ["100.0", "2"]
    assert rejected == {"rejected on Mechanical Turk": 1}


def test_of_two_files_of_one_voter_the_one_that_was_saved_first_counts(tally, tmp_path, capsys):
    """A browser calls the second "votes-ann (1).csv"; by names alone it came first. Windows writes .CSV."""
    (tmp_path / "votes/old.csv").mkdir(parents=True)
    first, second = (HEAD + f"a,{side},ann,t,v1\n" for side in ("left", "right"))
    table, _, rejected = tally({"votes-ann.CSV": first, "votes-ann (1).csv": second})
    assert table.loc["SPADE", "Preference (%)"] == "100.0" and rejected == {"duplicate": 1}
    assert "votes-ann (1).csv:2: duplicate" in capsys.readouterr().err


@pytest.mark.parametrize("names", [["v.csv", "v.CSV"], ["v.CSV", "v.csv"]])
def test_files_have_one_order_whatever_the_disk_says(tmp_path, monkeypatch, names):
    """The digest of votes is over it: another machine would count them again."""
    for name in names:
        (tmp_path / name).touch()
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter([folder / name for name in names]))
    assert [path.name for path in votes.files(tmp_path)] == ["v.CSV", "v.csv"]


@pytest.mark.parametrize("files", [None, {"empty.csv": HEAD}])
def test_without_votes_there_is_no_number(tally, files):
    table, long, _ = tally(files)
    assert table.drop(columns="Paper (%), not comparable").to_numpy().tolist() == [["no votes yet", "-", "-", "-"]] * 2
    assert long["value"].isna().all()


def test_a_comparison_left_out_says_why(tally):
    table, _, _ = tally({"v.csv": HEAD + "a,left,ann,t,v1\n"}, KEY | {"left_out": {"oasis": "failed: diverged"}})
    assert table["Preference (%)"].tolist() == ["100.0", "failed: diverged"]


def test_votes_must_be_a_folder(tmp_path):
    file = tmp_path / "votes.csv"
    file.write_text(HEAD)
    (tmp_path / "key.json").write_text(json.dumps(KEY))
    with pytest.raises(InputError, match="expected a folder"):
        tally_study(None, tmp_path / "table.csv", tmp_path / "key.json", file)


# -- the plan ----------------------------------------------------------------------------------------------------------


def planned(**study):
    plan, tables, _ = resolve(load({"study": study}, ROOT / "config"))
    return plan, tables["table2"]


def test_pictures_of_table_1_are_shown():
    plan, table = planned()
    (made,) = (artefact for artefact in plan.artefacts.values() if artefact.step == "make_study")
    assert table.inputs == {"study": (made.path,)}
    shown = {path for paths in made.inputs.values() for path in paths}
    assert len(shown) == 4
    featured = {p for a in plan.artefacts.values() if a.step == "extract_features" for p in a.inputs["images"]}
    assert shown <= featured


def test_votes_remake_the_table_and_nothing_else(tmp_path):
    plan, table = planned()
    missing = planned(votes=str(tmp_path / "none"))[1]
    assert missing.digest == table.digest  # a dry run needs no votes; the step refuses what is not there
    assert missing.given == {"votes": str(tmp_path / "none")}
    (tmp_path / "v.csv").write_text(HEAD)
    first = planned(votes=str(tmp_path))[1]
    (tmp_path / "v.csv").write_text(HEAD + "a,left,ann,t,v1\n")
    other, second = planned(votes=str(tmp_path))
    assert len({table.digest, first.digest, second.digest}) == 3
    assert plan.artefacts.keys() - other.artefacts.keys() == {("tally_study", table.digest)}
