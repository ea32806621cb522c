"""Edit photographs by their label maps: DDIM inversion under their own, sampling under the edited one."""

from pathlib import Path

from piti.cards import EditsCard
from piti.run.command import step


@step(leg="edited", makes="index.json")
def run(
    card: EditsCard,
    output: Path,
    model: Path,
    upsampler: Path,
    conditions: Path,
    real_images: Path,
    gpus: int | None = None,
) -> None:
    from piti.devices import device
    from piti.sample.edits import edit_samples

    edit_samples(card, output, model, upsampler, conditions, real_images, device(gpus))
