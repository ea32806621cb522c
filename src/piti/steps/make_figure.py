"""Make a figure: a grid of conditions, photographs and generated pictures."""

from pathlib import Path

from piti.cards import FigureCard
from piti.command import step


def run(card: FigureCard, output: Path, **files: list[Path]) -> None:
    from piti.report.figures import make_figure

    make_figure(card, output, **files)


if __name__ == "__main__":
    optional = ["conditions", "photographs", "low_res", "samples"]
    step(__spec__.name, __doc__, FigureCard, run, optional=optional, hands_on_failure=False)
