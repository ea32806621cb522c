"""Draw the sketches of packed photographs: HED edges, binarised."""

from pathlib import Path

from piti.cards import SketchCard
from piti.run.command import step


@step(leg="sketches", makes="index.json")
def run(
    card: SketchCard, output: Path, images: Path, weights: Path, gpus: int | None = None, sample_batch: int = 16
) -> None:
    from piti.devices import device
    from piti.sample.sketches import draw_sketches

    draw_sketches(card, output, images, weights, sample_batch, device(gpus))
