"""Measure how well pictures follow their conditions: a network reads the conditions back."""

from pathlib import Path

from piti.cards import AlignmentCard
from piti.run.command import step
from piti.store.files import write_json


@step(leg="alignment", makes="score.json")
def run(
    card: AlignmentCard,
    output: Path,
    images: Path,
    conditions: Path,
    network: Path | None = None,
    gpus: int | None = None,
    sample_batch: int = 16,
) -> None:
    from piti.devices import device
    from piti.evaluate.measure import measure

    write_json(output, measure(card, images, conditions, network, sample_batch, device(gpus)))
