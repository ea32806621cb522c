"""Train one row of models.yaml; started again, it goes on where it stopped."""

from pathlib import Path

from piti.cards import TrainCard
from piti.command import step
from piti.files import InputError

OPTIONS = {"micro_batch": 16, "workers": 0, "compile": 0, "minutes": 0.0}
OPTIONS |= {"log_every": 200, "save_every": 5000, "keep_every": 0}


def run(card: TrainCard, output: Path, **arguments: list[Path] | int | None) -> dict:
    from piti.train.row import Files, Work, train_row

    files = Files(**{key: next(iter(arguments[key]), None) for key in Files._fields})
    if not card.drawn and None in (files.images, files.conditions):
        raise InputError("--images and --conditions: found none, expected the shards that the card names")
    return train_row(card, output, files, Work(**{key: arguments[key] for key in Work._fields}))


if __name__ == "__main__":
    step(
        __spec__.name,
        __doc__,
        TrainCard,
        run,
        optional=["images", "conditions", "init", "perceptual", "instances"],
        options=OPTIONS,
        siblings=["curve.csv"],
        computes=True,
    )
