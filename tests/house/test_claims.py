"""The scores of `claims` that are published are those that its configuration asks for."""

import tarfile

from piti.cli import import_
from piti.config import load
from piti.plan import report, resolve, runs
from tests.house import ROOT


def test_what_is_published_is_whole_and_needed(tmp_path):
    with tarfile.open(ROOT / "docs/claims.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    published = import_.listed(tmp_path)
    for address, files in published.items():
        import_.checked(tmp_path / address, files)
    plan, tables, figures = resolve(load({"preset": "claims"}, ROOT / "config"))
    report(plan, tables, figures)
    needed = {address.as_posix() for artefact in plan.artefacts.values() for address in runs.addresses(artefact)}
    assert published
    assert published.keys() <= needed
