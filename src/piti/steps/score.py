"""Score generated against real features: Fréchet distance with its interval, and KID."""

from pathlib import Path

from piti.cards import ScoreCard
from piti.run.command import step
from piti.store.files import write_json


def run(card: ScoreCard, output: Path, real: list[Path], fake: list[Path]) -> None:
    from piti.evaluate.features import read_features
    from piti.evaluate.score import score

    write_json(output, score(read_features(real[0]), read_features(fake[0]), card.min_images))


if __name__ == "__main__":
    step(__spec__.name, __doc__, ScoreCard, run, inputs=["real", "fake"])
