"""Extract the features of packed pictures, real or generated, by a named network."""

from pathlib import Path

from piti.cards import FeaturesCard
from piti.run.command import step


def run(
    card: FeaturesCard, output: Path, images: list[Path], weights: list[Path], sample_batch: int, gpus: int | None
) -> None:
    from piti.data.shards import Shards
    from piti.devices import device
    from piti.evaluate.extract import extract, load
    from piti.evaluate.features import Features, write_features

    pictures = Shards(images[0], "images")
    extractor = load(card.extractor, weights[0], device(gpus))
    values = extract(extractor, pictures, sample_batch)
    write_features(output, Features(values, tuple(pictures.ids), extractor.spec))


if __name__ == "__main__":
    step(
        __spec__.name,
        __doc__,
        FeaturesCard,
        run,
        inputs=["images", "weights"],
        options={"sample_batch": 16},
        computes=True,
    )
