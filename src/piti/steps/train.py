"""Train one row of models.yaml; started again, it goes on where it stopped."""

from pathlib import Path

from piti.cards import TrainCard
from piti.run.command import step


@step(leg="models", makes="weights.safetensors", beside=("curve.csv",))
def run(
    card: TrainCard,
    output: Path,
    images: Path,
    conditions: Path,
    init: Path | None = None,
    perceptual: Path | None = None,
    instances: Path | None = None,
    gpus: int | None = None,
    micro_batch: int = 16,
    workers: int = 0,
    compile: int = 0,
    log_every: int = 200,
    save_every: int = 5000,
    minutes: float = 0.0,
) -> dict:
    from piti.train.row import Files, Work, train_row

    files = Files(images, conditions, init, perceptual, instances)
    work = Work(micro_batch, workers, compile, log_every, save_every, minutes, gpus)
    return train_row(card, output, files, work)
