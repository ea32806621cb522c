"""Measure how well pictures follow their conditions: a network reads the conditions back."""

from pathlib import Path

from piti.cards import AlignmentCard
from piti.run.command import step
from piti.store.files import write_json


def run(
    card: AlignmentCard,
    output: Path,
    images: list[Path],
    conditions: list[Path],
    network: list[Path],
    sample_batch: int,
    gpus: int | None,
) -> None:
    from piti.devices import device
    from piti.evaluate.measure import measure

    write_json(output, measure(card, images[0], conditions[0], next(iter(network), None), sample_batch, device(gpus)))


if __name__ == "__main__":
    inputs, optional = ["images", "conditions"], ["network"]
    step(
        __spec__.name,
        __doc__,
        AlignmentCard,
        run,
        inputs=inputs,
        optional=optional,
        options={"sample_batch": 16},
        computes=True,
    )
