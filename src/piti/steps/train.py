"""Train one row of models.yaml; started again, it goes on where it stopped."""

from pathlib import Path

from piti.cards import TrainCard
from piti.run.command import step

OPTIONS = {"micro_batch": 16, "workers": 0, "compile": 0, "log_every": 200, "save_every": 5000, "minutes": 0.0}


def run(card: TrainCard, output: Path, **arguments: list[Path] | int | None) -> dict:
    from piti.train.row import Files, Work, train_row

    files = Files(**{key: next(iter(arguments[key]), None) for key in Files._fields})
    return train_row(card, output, files, Work(**{key: arguments[key] for key in Work._fields}))


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
        computes=True,
    )
