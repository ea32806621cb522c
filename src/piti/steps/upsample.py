"""Draw the upsampler's pictures from those of the base model."""

from pathlib import Path

from piti.cards import SampleCard
from piti.run.command import step


@step(leg="upsampled", makes="index.json")
def run(
    card: SampleCard,
    output: Path,
    model: Path,
    conditions: Path,
    low_res: Path,
    gpus: int | None = None,
    sample_batch: int = 16,
) -> None:
    from piti.devices import device
    from piti.sample.diffusion import sample

    sample(card, output, model, conditions, low_res, sample_batch, device(gpus))
