"""Score generated against real features: Fréchet distance with its interval, and KID."""

from pathlib import Path

from piti.cards import ScoreCard
from piti.run.command import step
from piti.store.files import write_json


@step(leg="scores", makes="score.json")
def run(card: ScoreCard, output: Path, real: Path, fake: Path) -> None:
    from piti.evaluate.features import read_features
    from piti.evaluate.score import score

    write_json(output, score(read_features(real), read_features(fake), card.min_images))
