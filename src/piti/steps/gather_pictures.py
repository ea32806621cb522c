"""Gather the pictures that another method has made of the test images, as if it had been sampled here."""

from pathlib import Path

from piti.cards import GatherCard
from piti.run.command import step


def run(card: GatherCard, output: Path, folder: list[Path], images: list[Path]) -> None:
    from piti.data.gathering import gather

    gather(card, output, folder[0], images[0])


if __name__ == "__main__":
    step(__spec__.name, __doc__, GatherCard, run, inputs=["folder", "images"])
