"""Make a figure, PNG and PDF: a grid of conditions, photographs and generated pictures."""

from pathlib import Path

from piti.cards import FigureCard
from piti.run.command import step


@step(leg="figures", makes="figure.png", beside=("figure.pdf",), local=True, hands_on_failure=False)
def run(card: FigureCard, output: Path, pictures: list[Path] = (), scores: list[Path] = ()) -> None:
    from piti.report.figures import make_figure

    make_figure(card, output, pictures, scores)
