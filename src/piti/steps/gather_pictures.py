"""Gather the pictures that another method has made of the test images, as if it had been sampled here."""

from pathlib import Path

from piti.cards import GatherCard
from piti.run.command import step


@step(leg="gathered", makes="index.json", local=True)
def run(card: GatherCard, output: Path, folder: Path, images: Path) -> None:
    from piti.data.gathering import gather

    gather(card, output, folder, images)
