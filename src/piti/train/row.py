"""One row of models.yaml, from its card and its files to EMA weights."""

import contextlib
import csv
import io
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file

from piti.cards import TrainCard, TrainingConfig
from piti.cards.base import dumps
from piti.cards.train import VALIDATION, kind_of
from piti.devices import Place, compiled, place
from piti.run.command import patience
from piti.run.launch import processes_of
from piti.store.files import atomic, write_failure, write_text
from piti.store.lease import exclusive
from piti.train.batches import Files, training_batches
from piti.train.converge import converged, lengths, looks
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


# Of pictures by weights in a file: `distance` from real ones, and other measures by name (piti.sample.validation).
Validate = Callable[[Path], dict[str, float]]


def train_row(
    card: TrainCard,
    output: Path,
    files: Files,
    work: Work,
    validation: Callable[[torch.device], Validate] | None = None,
) -> dict:
    """Train, and write the EMA weights (safetensors) and the curve (CSV) beside them. Returns its history.

    With `validation` it trains until it has converged, and the weights are the best that were looked at.

    The checkpoint lies in a folder beside the output's own; its name leaves out the number of steps, so that a
    training can be extended (`TrainCard.identity` says which).
    """
    training = card.training
    folder = card.checkpoint(output)
    first = processes_of(os.environ)[0] == 0
    with exclusive(folder, patience()) if first else contextlib.nullcontext(), place(work.gpus) as here:
        here.wait()  # for the first: only now is the checkpoint that of whoever had the folder before
        batches = training_batches(card, files, here)
        run = Run(objective(card, files, work, here), here, folder, card.identity, training.steps, training.ema_rate)
        best, done = folder / "best.safetensors", True

        def export(path: Path) -> None:
            alone = Place(here.device)  # the whole batches, however many processes shared them
            weights = run.exported(training_batches(card, files, alone))
            with atomic(path) as temporary:
                save_file(weights, temporary, {"card": dumps(card)})

        try:
            validate = validation(here.device) if validation else None
            stops = looks(training.converge_from, training.steps) if validate else [training.steps]
            for stop in (stop for stop in stops if stop >= run.step):  # what lies behind was looked at
                train(
                    run, batches, stop, work.workers, work.log_every, work.save_minutes, work.minutes, work.keep_every
                )
                if validate and (done := look(run, best, export, validate, training)):
                    break
        except Diverged as reason:
            if here.first:
                write_failure([output.with_name("curve.csv"), output], str(reason))
            return run.made()
        run.note("trained")
        if here.first:
            write_text(output.with_name("curve.csv"), curve(run.curve))
            if validate:
                with atomic(output) as temporary:  # a shorter training may have left these weights, with its own card
                    save_file(load_file(best), temporary, {"card": dumps(card)})
            else:
                export(output)
        return run.made() | ({"converged": done} if validate else {})


def look(run: Run, best: Path, export: Callable[[Path], None], validate: Validate, training: TrainingConfig) -> bool:
    """Look at the weights as they are, and keep them as the best if they are; whether the training has converged.

    Every process looks, and what the first one sees counts.
    """
    seen = run.looks()
    if run.step not in seen:
        run.note("looking")
        candidate = best.with_name("candidate.safetensors")
        if run.place.first:
            export(candidate)
        run.place.wait()
        found = validate(candidate)
        values = torch.tensor(list(found.values()), dtype=torch.float64, device=run.place.device) * run.place.first
        run.place.all_reduce([values])
        run.place.wait()
        before = min((look["distance"] for look in seen.values()), default=math.inf)
        seen[run.step] = dict(zip(found, values.tolist(), strict=True))
        run.curve[-1] |= {f"{VALIDATION}{name}": value for name, value in seen[run.step].items()}
        if run.place.first and seen[run.step]["distance"] < before:
            os.replace(candidate, best)
    ends = lengths(training.converge_from, training.steps)
    return run.step in ends and converged(seen, training.converge_gain)


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
