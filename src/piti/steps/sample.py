"""Draw the base model's pictures for every test condition."""

from pathlib import Path

from piti.cards import SampleCard
from piti.run.command import step


def run(
    card: SampleCard, output: Path, model: list[Path], conditions: list[Path], sample_batch: int, gpus: int | None
) -> None:
    from piti.devices import device
    from piti.sample.diffusion import sample

    sample(card, output, model[0], conditions[0], None, sample_batch, device(gpus))


if __name__ == "__main__":
    step(
        __spec__.name,
        __doc__,
        SampleCard,
        run,
        inputs=["model", "conditions"],
        options={"sample_batch": 16},
        computes=True,
    )
