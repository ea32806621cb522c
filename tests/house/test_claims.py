"""The scores of `claims` that are published are those that its configuration asks for and docs/mini.md shows."""

import tarfile
from argparse import Namespace
from pathlib import Path

import pytest

from piti.cli import compare, import_
from piti.config import load
from piti.plan import report, resolve, runs
from tests.house import ROOT


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("claims")
    with tarfile.open(ROOT / "docs/claims.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_what_is_published_is_whole_and_needed(published):
    listed = import_.listed(published)
    for address, files in listed.items():
        import_.checked(published / address, files)
    plan, tables, figures = resolve(load({"preset": "claims"}, ROOT / "config"))
    report(plan, tables, figures)
    needed = {address.as_posix() for artefact in plan.artefacts.values() for address in runs.addresses(artefact)}
    assert listed
    assert listed.keys() <= needed


@pytest.mark.parametrize("table", ["resolutions", "alignment", "table4"])
def test_the_page_shows_them(table, published, capsys):
    config = load({"preset": "claims", "results": str(published)}, ROOT / "config")
    compare.run(Namespace(table=table, row="Ours"), config)
    page = (ROOT / "docs/mini.md").read_text().splitlines()
    assert not set(capsys.readouterr().out.splitlines()) - set(page)


def test_what_is_not_trained_is_compared_with_every_training(published, capsys):
    compare.run(
        Namespace(table="alignment", row="Real images"),
        load({"preset": "claims", "results": str(published)}, ROOT / "config"),
    )
    assert "| 14.2 (-18.3 to 46.7) |" in capsys.readouterr().out
