"""Draw the sketches of packed photographs: HED edges, binarised."""

from pathlib import Path

from piti.cards import SketchCard
from piti.run.command import step


def run(
    card: SketchCard, output: Path, images: list[Path], weights: list[Path], sample_batch: int, gpus: int | None
) -> None:
    from piti.devices import device
    from piti.sample.sketches import draw_sketches

    draw_sketches(card, output, images[0], weights[0], sample_batch, device(gpus))


if __name__ == "__main__":
    step(
        __spec__.name,
        __doc__,
        SketchCard,
        run,
        inputs=["images", "weights"],
        options={"sample_batch": 16},
        computes=True,
    )
