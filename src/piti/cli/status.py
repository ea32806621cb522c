"""Print every training that has begun, data that have changed, and what is left.

Of a training: step, rate, time left, what saving takes, last loss, job, state. It only reads the results folder, so it
runs at any time on any machine that sees it: `watch -n 10 piti status`.
A training that has been silent for much longer than a line of its curve takes is called silent: killed, or stuck.
"""

import csv
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from piti.cards import GenerateCard, SampleCard, TrainCard
from piti.cards.base import from_dict
from piti.cli.drift import drifts
from piti.config import Config
from piti.plan import Artefact, resolve
from piti.plan.cost import Costs
from piti.store.files import InputError, clock, failure, read_json
from piti.units import span

PATIENCE = 3  # lines of the curve that a living training may be late
GRACE = 120  # seconds more: starting, saving, a slow file system


class Row(NamedTuple):
    """One training, as it is printed."""

    training: str
    identity: str
    step: str = ""
    rate: str = ""  # steps a second, of the processes that work or worked on it last
    left: str = ""
    saving: str = ""  # part of that time
    loss: str = ""
    where: str = ""
    state: str = ""


def add_arguments(parser: ArgumentParser) -> None:
    pass


def run(arguments: Namespace, config: Config) -> None:
    results = Path(config.results)
    now = clock(results)
    rows = [row for file in sorted(results.glob("models/*/*/card.json")) if (row := read(file, finished))]
    over = {(row.training, row.identity, row.step) for row in rows}
    for file in sorted(results.glob("models/*/checkpoint-*/progress.json")):
        row = read(file, lambda file: under_way(file, config.machine.log_every, now))
        if row and (row.training, row.identity, row.step) not in over:
            rows.append(row)
    plan, tables, figures = resolve(config)
    trainings = {(a.name, a.card.identity) for a in plan.artefacts.values() if isinstance(a.card, TrainCard)}
    if rows:
        print(*table([Row._fields, *rows]), sep="\n")
    for drift in drifts(plan):
        print(drift.text)
    costs = Costs(plan)
    for line in drawing(costs, plan.artefacts.values()):
        print(line)
    states = Counter(row.state.split()[0].rstrip(":,") for row in rows)
    states["waiting"] = len(trainings - {(row.training, row.identity) for row in rows})
    print(f"{config.preset} preset, trainings in {results}:", ", ".join(f"{n} {state}" for state, n in states.items()))
    hours = costs.left(costs.todo(target.path for target in (tables | figures).values()))
    print(f"left: {span(hours)} of one device ({costs.source})")


def read(file: Path, how) -> Row | None:
    """The row that a file tells of; None where it has just been removed."""
    name, identity = file.parent.parent.name, file.parent.name.removeprefix("checkpoint-")
    try:
        return how(file)
    except (InputError, OSError, KeyError, TypeError, ValueError, IndexError) as error:
        return Row(name, identity, state=f"unreadable: {file}: {error!r}") if file.exists() else None


def finished(file: Path) -> Row:
    """A training whose outputs are there: weights, or the record of its failure."""
    about = read_json(file)
    card = from_dict(TrainCard, about["card"])
    history = about["made"]["history"]
    reached = history[-1]["to"] if history else 0
    row = Row(file.parent.parent.name, card.identity, step=f"{reached:,}")
    if reason := failure(file.with_name("weights.safetensors")):
        return row._replace(step=f"{reached:,} of {card.training.steps:,}", state=f"failed: {reason}")
    with open(file.with_name("curve.csv"), newline="") as handle:
        *_, last = csv.DictReader(handle)
    speed = rate(sum(p["to"] - p["from"] for p in history), sum(p["seconds"] for p in history))
    return row._replace(rate=speed, saving=saving(history), loss=loss(last), where=where(history[-1]), state="done")


def under_way(file: Path, log_every: int, now: float) -> Row:
    """A training that has not ended yet, by the progress.json beside its checkpoint.

    now: by the file system's clock.
    """
    said, age = read_json(file), now - file.stat().st_mtime
    piece, steps = said["piece"], said["steps"]
    did = piece["to"] - piece["from"]
    row = Row(
        file.parent.parent.name,
        file.parent.name.removeprefix("checkpoint-"),
        step=f"{piece['to']:,}" if said["doing"] == "trained" else f"{piece['to']:,} of {steps:,}",
        rate=rate(did, piece["seconds"]),
        saving=saving([piece]),
        loss=loss(said["losses"][-1]) if said["losses"] else "",
        where=where(piece),
        state=said["doing"],
    )
    if said["doing"] != "running":
        return row._replace(state=f"{said['doing']}, step {said['saved']:,} saved")
    if did and age > PATIENCE * log_every * piece["seconds"] / did + GRACE:
        return row._replace(state=f"silent for {span(age / 3600)}, step {said['saved']:,} saved")
    if not did:
        return row
    left = (steps - piece["to"]) * piece["seconds"] / did - age
    return row._replace(left=span(max(left, 0) / 3600))


def drawing(costs: Costs, artefacts: list[Artefact]) -> Iterator[str]:
    """Samples that have been begun: how many of their shards are there."""
    for artefact in artefacts:
        path = Path(artefact.path)
        if isinstance(artefact.card, SampleCard | GenerateCard) and path.parent.exists() and not path.exists():
            there = len(list(path.parent.glob("shard-*.h5")))
            shards = -(-costs.items(artefact) // artefact.card.shard_size)
            yield f"{artefact.step} {artefact.name}: {there} of {shards} shards"


def rate(steps: int, seconds: float) -> str:
    """Steps a second."""
    return f"{steps / seconds:.3g}" if steps and seconds else ""


def saving(history: list[dict]) -> str:
    """The part of the time that went into checkpoints; older records do not say."""
    seconds = sum(piece["seconds"] for piece in history)
    return f"{sum(piece.get('save_seconds', 0) for piece in history) / seconds:.1%}" if seconds else ""


def loss(line: dict) -> str:
    """The first two terms of a line of the curve."""
    return ", ".join(f"{k} {float(v):.3g}" for k, v in list(line.items())[1:3] if v not in ("", None))


def where(piece: dict) -> str:
    """Host and job, and how many processes if several."""
    several = f" x{piece['processes']}" if piece["processes"] > 1 else ""
    return f"{piece['host']}{several}" + (f" job {piece['job']}" if piece["job"] else "")


def table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Columns as wide as their longest value; the last one as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip()
