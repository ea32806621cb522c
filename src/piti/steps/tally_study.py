"""Count the votes of the user study: how often people prefer Ours to each opponent."""

from pathlib import Path

from piti.cards import TallyCard
from piti.run.command import step


@step(leg="tallies", makes="table.csv", beside=("long.csv", "table.md", "table.tex"), local=True)
def run(card: TallyCard, output: Path, study: Path, votes: Path | None = None) -> dict:
    from piti.report.study.tally import tally_study

    return tally_study(card, output, study, votes)
