"""Claims: verdicts follow from the interval of the paired difference."""

from itertools import chain
from pathlib import Path

import pytest
from tests.house import ROOT
from tests.unit.report.page import made

from piti.cards import ClaimCard, ClaimsCard, Ordering
from piti.config import load
from piti.evaluate.claims import NO_CARDS, check, check_claims, conclude
from piti.store.files import read_json, write_failure, write_json

SHORT = "trained for a few steps only"
NOISE = [-1.0, 1.0, -0.5, 0.5]


def verdicts(tmp_path, pairs, reason="", higher_is_better=False, no_verdict="") -> dict:
    """What is said of one ordering with a pair of values, or of a value and a failure, for each seed."""
    files, better = [], {"higher_is_better": higher_is_better}
    for number, value in enumerate(chain.from_iterable(pairs)):
        files.append(tmp_path / f"{number}.json")
        if value is None:
            write_failure(files[-1:], "diverged")
        else:
            pseudo = [value + (noise if number % 2 else -noise) for noise in NOISE]
            score = {"value": value, "pseudo_values": pseudo, "sizes": [6] * 4, "n": 24}
            write_json(files[-1], score | {"extractor": {}, "reference": "r", "seed": 0} | better)
    digests = tuple("d" for _ in pairs)
    one = Ordering(
        better="a", than="b", task="t", measure="FID", better_scores=digests, than_scores=digests, reason=reason
    )
    card = ClaimsCard(claims=(ClaimCard(name="c", text="a below b", orderings=(one,)),), no_verdict=no_verdict)
    check_claims(card, tmp_path / "claims.json", files[::2], files[1::2])
    (claim,) = read_json(tmp_path / "claims.json")["claims"]
    assert claim["verdict"] == claim["orderings"][0]["verdict"]
    return claim["orderings"][0]


@pytest.mark.parametrize(
    ("pairs", "verdict"),
    [
        ([(10, 20)], "held"),
        ([(20, 10)], "not held"),
        ([(10, 10.1)], "undecided"),
        ([(10, 20), (10, 21), (10, 22)], "held"),
        ([(10, 20), (10, 11), (30, 11)], "undecided"),  # the seeds disagree
    ],
)
def test_verdicts(tmp_path, pairs, verdict):
    found = verdicts(tmp_path, pairs)
    assert found["verdict"] == verdict
    assert found["interval"][0] < found["value"] < found["interval"][1]


@pytest.mark.parametrize(
    ("better", "than", "verdict", "remark"),
    [
        ((10, True), (20, True), "held", ""),
        ((10, False), (20, True), "held", ""),
        ((10, True), (20, False), "undecided", "b has not converged"),
        ((20, False), (10, True), "undecided", "a has not converged"),
        ((20, True), (10, False), "not held", ""),
        ((10, None), (20, None), "held", ""),  # trainings of a stated length
    ],
)
def test_nobody_has_lost_whose_training_did_not_converge(tmp_path, better, than, verdict, remark):
    sides = {}
    for name, (value, converged) in (("a", better), ("b", than)):
        ended = {} if converged is None else {"converged": converged}
        model = made(tmp_path / f"models/{name}/0000000000/weights.safetensors", "train", {}, **ended)
        sides[name] = (value, [model])
    found = compared(tmp_path, sides)
    assert (found["verdict"], found["remark"]) == (verdict, remark) and found["value"] == better[0] - than[0]


def compared(folder: Path, sides: dict[str, tuple[float, list[Path]]], **how) -> dict:
    """a and b, each with a score and the models behind it."""
    files = []
    for name, (value, models) in sides.items():
        files.append(made(folder / f"scores/{name}/1111111111/score.json", "score", {}, {"fake": models}))
        score = {"value": value, "pseudo_values": [value + noise for noise in NOISE], "sizes": [6] * 4, "n": 24}
        write_json(files[-1], score | {"extractor": {}, "reference": "r", "seed": 0, "higher_is_better": False})
    one = Ordering(better="a", than="b", task="t", measure="FID", better_scores=("d",), than_scores=("d",), **how)
    return check(one, iter(files[:1]), iter(files[1:]))


def test_a_training_that_both_share_is_no_excuse(tmp_path):
    """Plain and normalised guidance of one model that still improves, and two upsamplers behind it."""
    model = made(tmp_path / "models/ours/0000000000/weights.safetensors", "train", {}, converged=False)
    found = compared(tmp_path, {"a": (10, [model]), "b": (20, [model])})
    assert (found["verdict"], found["remark"]) == ("held", "")


def test_of_trainings_of_equal_length_one_that_still_improves_can_lose(tmp_path):
    files = [made(tmp_path / f"models/{n}/0000000000/weights.safetensors", "train", {}, converged=False) for n in "ab"]
    sides = {"a": (10, files[:1]), "b": (20, files[1:])}
    found = compared(tmp_path, sides, equal_steps=True)
    assert (found["verdict"], found["remark"]) == ("held", "after equal steps; b has not converged")
    assert compared(tmp_path, sides)["verdict"] == "undecided"


def test_whose_cards_are_elsewhere_has_not_lost_where_trainings_end_by_the_rule(tmp_path):
    """Scores alone were imported: nobody here knows how their trainings ended."""
    sides = {name: (value, [Path(f"results/models/{name}/0000000000/w")]) for name, value in (("a", 10), ("b", 20))}
    found = compared(tmp_path, sides, by_rule=True)
    assert (found["verdict"], found["remark"]) == ("undecided", f"b may not have converged: {NO_CARDS}")
    assert compared(tmp_path, sides)["verdict"] == "held"  # trainings of a stated length


def test_photographs_of_ones_own_have_no_card_and_hide_no_training(tmp_path):
    """They have no step, as what was left elsewhere has none."""
    models = []
    for name in "ab":
        given = {"folder": [Path(f"/data/2026/landscapes/{name}")]}
        models.append(made(tmp_path / f"models/{name}/0000000000/w", "train", {}, given, converged=True))
    found = compared(tmp_path, {"a": (10, models[:1]), "b": (20, models[1:])}, by_rule=True)
    assert (found["verdict"], found["remark"]) == ("held", "")


def test_an_import_into_a_folder_of_another_name_keeps_what_has_not_converged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    models = [made(Path(f"theirs/models/{name}/0000000000/w"), "train", {}, converged=False) for name in "ab"]
    compared(Path("theirs"), {"a": (10, models[:1]), "b": (20, models[1:])})
    Path("theirs").rename("ours")
    files = [Path(f"ours/scores/{name}/1111111111/score.json") for name in "ab"]
    one = Ordering(better="a", than="b", task="t", measure="FID", better_scores=("d",), than_scores=("d",))
    found = check(one, iter(files[:1]), iter(files[1:]))
    assert (found["verdict"], found["remark"]) == ("undecided", "b has not converged")


def test_where_numbers_mean_nothing_no_claim_is_decided(tmp_path):
    """As in smoke; its differences are there all the same."""
    assert [load({"preset": name}, ROOT / "config").no_verdict for name in ("smoke", "claims")] == [SHORT, ""]
    found = verdicts(tmp_path, [(10, 20)], no_verdict="too short")
    assert (found["verdict"], found["remark"], found["value"]) == ("undecided", "too short", -10)


def test_more_is_better_where_the_score_says_so(tmp_path):
    assert verdicts(tmp_path, [(20, 10)], higher_is_better=True)["verdict"] == "held"
    assert verdicts(tmp_path, [(10, 20)], higher_is_better=True)["verdict"] == "not held"
    assert verdicts(tmp_path, [(10, 10.1)], higher_is_better=True)["verdict"] == "undecided"


def test_what_cannot_be_checked_says_why(tmp_path):
    assert verdicts(tmp_path, [(10, None)])["reason"] == "failed: diverged"
    assert verdicts(tmp_path, [], "a: no source configured")["verdict"] == "not run"


def test_a_claim_is_as_good_as_its_weakest_part():
    assert conclude(["held", "held"]) == "held"
    assert conclude(["held", "undecided", "not held", "cannot be checked"]) == "not held"
    assert conclude(["held", "undecided", "cannot be checked"]) == "cannot be checked"
    assert conclude(["undecided", "held"]) == "undecided"


def test_what_was_not_run_neither_holds_nor_hides_a_claim():
    assert conclude(["not run", "held", "not run"]) == "held"
    assert conclude(["not run", "cannot be checked", "held"]) == "cannot be checked"
    assert conclude(["not run", "not run"]) == "not run"
