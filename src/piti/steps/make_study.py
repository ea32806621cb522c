"""Make the user study: anonymous pairs of pictures, the page that shows them, and the key to them."""

from pathlib import Path

from piti.cards import StudyCard
from piti.run.command import step


def run(card: StudyCard, output: Path, **samples: list[Path]) -> None:
    from piti.report.study.make import make_study

    make_study(card, output, **samples)


if __name__ == "__main__":
    step(__spec__.name, __doc__, StudyCard, run, optional=["ours", "against"], hands_on_failure=False)
