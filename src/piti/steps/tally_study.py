"""Count the votes of the user study: how often people prefer Ours to each opponent."""

from pathlib import Path

from piti.cards import TallyCard
from piti.run.command import step


def run(card: TallyCard, output: Path, study: list[Path], votes: list[Path]) -> dict:
    from piti.report.study.tally import tally_study

    return tally_study(card, output, study, votes)


if __name__ == "__main__":
    step(__spec__.name, __doc__, TallyCard, run, inputs=["study"], optional=["votes"])
