"""Extract the archives of a data set into one folder."""

from pathlib import Path

from piti.cards import ExtractCard
from piti.run.command import step


@step(leg="data", makes="extracted/", temporary=True)
def run(card: ExtractCard, output: Path, archives: list[Path]) -> None:
    from piti.store.archive import extract_all

    extract_all(dict(zip(archives, card.archives.values(), strict=True)), output)
