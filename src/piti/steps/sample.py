"""Draw the base model's pictures for every test condition."""

from pathlib import Path

from piti.cards import SampleCard
from piti.run.command import step


@step(leg="sampled", makes="index.json")
def run(
    card: SampleCard, output: Path, model: Path, conditions: Path, gpus: int | None = None, sample_batch: int = 16
) -> None:
    from piti.devices import device
    from piti.sample.diffusion import sample

    sample(card, output, model, conditions, None, sample_batch, device(gpus))
