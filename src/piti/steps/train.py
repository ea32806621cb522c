"""Train one row of models.yaml; started again, it goes on where it stopped."""

from pathlib import Path

from piti.cards import TrainCard
from piti.command import step

OPTIONS = {"micro_batch": 16, "workers": 0, "compile": 0, "log_every": 200, "save_every": 5000, "minutes": 0}


def run(
    card: TrainCard,
    output: Path,
    images: list[Path],
    conditions: list[Path],
    init: list[Path],
    perceptual: list[Path],
    instances: list[Path],
    **options: int,
) -> dict:
    from piti.train.row import train_row

    more = [next(iter(paths), None) for paths in (init, perceptual, instances)]
    return train_row(card, output, images[0], conditions[0], *more, **options)


if __name__ == "__main__":
    step(
        __spec__.name,
        __doc__,
        TrainCard,
        run,
        inputs=["images", "conditions"],
        optional=["init", "perceptual", "instances"],
        options=OPTIONS,
        siblings=["curve.csv"],
    )
