"""Edit photographs by their label maps: DDIM inversion under their own, sampling under the edited one."""

from pathlib import Path

from piti.cards import EditsCard
from piti.run.command import step


def run(
    card: EditsCard,
    output: Path,
    model: list[Path],
    upsampler: list[Path],
    conditions: list[Path],
    photographs: list[Path],
    gpus: int | None,
) -> None:
    from piti.devices import device
    from piti.sample.edits import edit_samples

    edit_samples(card, output, model[0], upsampler[0], conditions[0], photographs[0], device(gpus))


if __name__ == "__main__":
    inputs = ["model", "upsampler", "conditions", "photographs"]
    step(__spec__.name, __doc__, EditsCard, run, inputs=inputs, computes=True)
