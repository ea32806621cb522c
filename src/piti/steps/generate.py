"""Generate a baseline's pictures for every test condition."""

from pathlib import Path

from piti.cards import GenerateCard
from piti.run.command import step


@step(leg="generated", makes="index.json")
def run(
    card: GenerateCard,
    output: Path,
    model: Path,
    conditions: Path,
    instances: Path | None = None,
    gpus: int | None = None,
    sample_batch: int = 16,
) -> None:
    from piti.devices import device
    from piti.sample.gan import generate

    generate(card, output, model, conditions, instances, sample_batch, device(gpus))
