"""Draw a few test conditions in several variants: seeds, or ways of sampling. For figures."""

from pathlib import Path

from piti.cards import VariantsCard
from piti.run.command import step


@step(leg="variants", makes="index.json")
def run(
    card: VariantsCard,
    output: Path,
    model: Path,
    upsampler: Path,
    conditions: Path,
    gpus: int | None = None,
    sample_batch: int = 16,
) -> None:
    from piti.devices import device
    from piti.sample.variants import draw_variants

    draw_variants(card, output, model, upsampler, conditions, sample_batch, device(gpus))
