"""Draw a data set of scenes, written to disk in the layout of a real one."""

from pathlib import Path

from piti.cards import ScenesCard
from piti.run.command import step


@step(leg="data", makes="synthetic/")
def run(card: ScenesCard, output: Path) -> None:
    from piti.scenes import write

    write(output, card.layout, card.seed, {"train": card.train, "test": card.test}, card.resolution, card.style)
