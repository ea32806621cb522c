"""Draw a few test conditions in several variants: seeds, or ways of sampling. For figures."""

from pathlib import Path

from piti.cards import VariantsCard
from piti.run.command import step


def run(
    card: VariantsCard,
    output: Path,
    model: list[Path],
    upsampler: list[Path],
    conditions: list[Path],
    sample_batch: int,
    gpus: int | None,
) -> None:
    from piti.devices import device
    from piti.sample.variants import draw_variants

    draw_variants(card, output, model[0], upsampler[0], conditions[0], sample_batch, device(gpus))


if __name__ == "__main__":
    inputs = ["model", "upsampler", "conditions"]
    step(__spec__.name, __doc__, VariantsCard, run, inputs=inputs, options={"sample_batch": 16}, computes=True)
