"""One row of models.yaml, from its card and its files to EMA weights."""

import contextlib
import csv
import io
import math
import os
from pathlib import Path
from typing import NamedTuple

from safetensors.torch import save_file

from piti.cards import TrainCard
from piti.cards.base import dumps
from piti.cards.train import kind_of
from piti.devices import Place, compiled, place
from piti.run.command import patience
from piti.run.launch import processes_of
from piti.store.files import atomic, write_failure, write_text
from piti.store.lease import exclusive
from piti.train.batches import Files, training_batches
from piti.train.diffusion import DiffusionObjective
from piti.train.estimator import EstimatorObjective
from piti.train.gan import GANObjective
from piti.train.initial import initial_baseline, initial_estimator, initial_model, vgg
from piti.train.loop import Diverged, train
from piti.train.run import Objective, Run

# by what trains a kind of model: the objective, and the networks that it starts with
OBJECTIVES = {
    "diffusion": (DiffusionObjective, initial_model),
    "baseline": (GANObjective, initial_baseline),
    "estimator": (EstimatorObjective, initial_estimator),
}


class Work(NamedTuple):
    """How the work is done, never what comes out but for rounding (piti.config.Machine says what each is).

    gpus: that this job has asked for, of each node (piti.devices.device).
    """

    micro_batch: int
    workers: int
    compile: bool
    log_every: int
    save_minutes: float
    minutes: float
    gpus: int | None = None
    keep_every: int = 0


def train_row(card: TrainCard, output: Path, files: Files, work: Work) -> dict:
    """Train, and write the EMA weights (safetensors) and the curve (CSV) beside them. Returns its history.

    The checkpoint lies in a folder beside the output's own; its name leaves out the number of steps, so that a
    training can be extended, except where the learning rate depends on it.
    """
    training = card.training
    folder = card.checkpoint(output)
    first = processes_of(os.environ)[0] == 0
    with exclusive(folder, patience()) if first else contextlib.nullcontext(), place(work.gpus) as here:
        here.wait()  # for the first: only now is the checkpoint that of whoever had the folder before
        batches = training_batches(card, files, here)
        run = Run(objective(card, files, work, here), here, folder, card.identity, training.steps, training.ema_rate)
        try:
            train(run, batches, work.workers, work.log_every, work.save_minutes, work.minutes, work.keep_every)
        except Diverged as reason:
            if here.first:
                write_failure([output.with_name("curve.csv"), output], str(reason))
            return run.made()
        if here.first:
            write_text(output.with_name("curve.csv"), curve(run.curve))
            with atomic(output) as temporary:
                alone = Place(here.device)  # the whole batches, however many processes shared them
                weights = run.exported(training_batches(card, files, alone))
                save_file(weights, temporary, {"card": dumps(card)})
        return run.made()


def objective(card: TrainCard, files: Files, work: Work, here: Place) -> Objective:
    """What the card trains."""
    train_by, initial = OBJECTIVES[kind_of(card.training.kind).objective]
    made = train_by(card, initial(card, files.init), here, work.micro_batch, vgg(card, files.perceptual))
    if work.compile:
        compiled(made.model)
        # the upsampler's is small, and its gradient penalty differentiates twice, which compiled code cannot
        if card.baseline:
            compiled(made.modules["discriminator"])
    return made


def curve(rows: list[dict[str, float]]) -> str:
    """The curve as CSV: step, then every loss term; empty where a term had not begun."""
    terms = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, terms, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: v if k == "step" or math.isnan(v) else f"{v:.8g}" for k, v in row.items()} for row in rows)
    return text.getvalue()
