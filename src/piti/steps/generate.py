"""Generate a baseline's pictures for every test condition."""

from pathlib import Path

from piti.cards import GenerateCard
from piti.run.command import step


def run(
    card: GenerateCard,
    output: Path,
    model: list[Path],
    conditions: list[Path],
    instances: list[Path],
    sample_batch: int,
    gpus: int | None,
) -> None:
    from piti.devices import device
    from piti.sample.gan import generate

    generate(card, output, model[0], conditions[0], next(iter(instances), None), sample_batch, device(gpus))


if __name__ == "__main__":
    inputs, options = ["model", "conditions"], {"sample_batch": 16}
    step(
        __spec__.name, __doc__, GenerateCard, run, inputs=inputs, optional=["instances"], options=options, computes=True
    )
