"""Draw the upsampler's pictures from those of the base model."""

from pathlib import Path

from piti.cards import SampleCard
from piti.run.command import step


def run(
    card: SampleCard,
    output: Path,
    model: list[Path],
    conditions: list[Path],
    low_res: list[Path],
    sample_batch: int,
    gpus: int | None,
) -> None:
    from piti.devices import device
    from piti.sample.diffusion import sample

    sample(card, output, model[0], conditions[0], low_res[0], sample_batch, device(gpus))


if __name__ == "__main__":
    inputs = ["model", "conditions", "low_res"]
    step(__spec__.name, __doc__, SampleCard, run, inputs=inputs, options={"sample_batch": 16}, computes=True)
