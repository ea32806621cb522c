"""Extract the features of packed pictures, real or generated, by a named network."""

from dataclasses import replace
from pathlib import Path

from piti.cards import FeaturesCard
from piti.run.command import step


@step(leg="features", makes="features.safetensors")
def run(
    card: FeaturesCard, output: Path, images: Path, weights: Path, gpus: int | None = None, sample_batch: int = 16
) -> None:
    from piti.data.shards import Shards
    from piti.devices import device
    from piti.evaluate.extract import extract, load
    from piti.evaluate.features import Features, write_features

    pictures = Shards(images, "images")
    extractor = load(card.extractor, weights, device(gpus))
    values, spec = extract(extractor, pictures, sample_batch, card.resolution), extractor.spec
    if card.resolution:
        spec = replace(spec, resize=f"shrunk to {card.resolution}, {spec.resize}")
    write_features(output, Features(values, tuple(pictures.ids), spec))
