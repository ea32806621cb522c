"""Make the user study: anonymous pairs of pictures, the page that shows them, and the key to them."""

from pathlib import Path

from piti.cards import StudyCard
from piti.run.command import step


@step(leg="studies", makes="key.json", beside=("page/",), local=True, hands_on_failure=False)
def run(card: StudyCard, output: Path, ours: list[Path] = (), against: list[Path] = ()) -> None:
    from piti.report.study.make import make_study

    make_study(card, output, ours, against)
