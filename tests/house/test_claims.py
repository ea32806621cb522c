"""The scores of `claims` that are published are those that its configuration asks for and docs/claims.md shows."""

import tarfile
from argparse import Namespace
from pathlib import Path

import pytest
import yaml

from piti.cli import claims, compare, import_
from piti.config import load
from piti.plan import report, resolve, runs
from tests.house import ROOT

LONG = yaml.safe_load((ROOT / "docs/long.yaml").read_text())
RIVALS = LONG | {"models": {key: value for key, value in LONG["models"].items() if key != "two_stage"}}  # and not Ours


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("claims")
    with tarfile.open(ROOT / "docs/claims.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def places(more: dict) -> set[str]:
    """Where everything lies that `claims` makes, with more configuration: "scores/NAME/DIGEST" and the like."""
    plan, tables, figures = resolve(load({"preset": "claims"} | more, ROOT / "config"))
    report(plan, tables, figures)
    return {address.as_posix() for artefact in plan.artefacts.values() for address in runs.addresses(artefact)}


def test_what_is_published_is_whole_and_needed(published):
    listed = import_.listed(published)
    for address, files in listed.items():
        import_.checked(published / address, files)
    assert listed
    assert listed.keys() <= places({}) | places(LONG)


def test_every_score_that_claims_asks_for_is_published(published):
    scores = {address for address in places({}) if address.startswith(("scores/", "alignment/"))}
    assert scores
    assert scores <= import_.listed(published).keys()


@pytest.mark.parametrize(
    ("table", "row", "more"),
    [
        ("table5", "Ours", {}),
        ("resolutions", "Ours", {}),
        ("alignment", "Ours", {}),
        ("table4", "Ours", {}),
        ("table3a", "two_stage", {}),
        ("table3b", "adversarial", {}),
        ("guidance", "ncf_w8", {}),
        ("long", "scratch", RIVALS),
        ("long", "ours", LONG),
    ],
)
def test_the_page_shows_them(table, row, more, published, capsys):
    config = load({"preset": "claims", "results": str(published)} | more, ROOT / "config")
    compare.run(Namespace(table=table, row=row), config)
    page = (ROOT / "docs/claims.md").read_text().splitlines()
    assert not set(capsys.readouterr().out.splitlines()) - set(page)


def test_the_page_shows_what_the_scores_decide(published, capsys):
    """Of scores without cards nobody knows which trainings still improved: some are undecided that the page decides."""
    claims.run(Namespace(), load({"preset": "claims", "results": str(published)}, ROOT / "config"))

    def verdicts(text: str) -> dict[tuple[str, ...], str]:
        cells = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("| ")]
        return {(line[1], line[2], line[4]): line[3] for line in cells if len(line) == 7}  # of five columns

    asked, page = verdicts(capsys.readouterr().out), verdicts((ROOT / "docs/claims.md").read_text())
    assert len(asked) > 10
    assert {
        part: page.get(part) for part, verdict in asked.items() if verdict not in (page.get(part), "undecided")
    } == {}
    assert asked.keys() <= page.keys()


def test_what_is_not_trained_is_compared_with_every_training(published, capsys):
    compare.run(
        Namespace(table="alignment", row="Real images"),
        load({"preset": "claims", "results": str(published)}, ROOT / "config"),
    )
    assert "| 14.2 (-18.3 to 46.7) |" in capsys.readouterr().out
