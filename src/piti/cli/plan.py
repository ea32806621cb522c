"""Print what a table, a figure or everything takes: jobs, GPU time and memory, disk, and what is missing.

  piti plan                       everything
  piti plan table3a --gpu H100    one table, on other GPUs

It reads the configuration and the results folder, and makes nothing. Times are those of one device, in the precision
that the configuration says. They are modelled: work is counted on the real networks, and a GPU is taken to be as fast
as its data sheet allows (piti.plan.gpu). Once trainings have finished in the results folder, their own times count.
"""

import os
from argparse import ArgumentParser, Namespace
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from piti.cards import Card, DownloadCard, TrainCard
from piti.cards.train import row_of
from piti.config import Config
from piti.plan import Artefact, resolve
from piti.plan.copies import copies, current
from piti.plan.cost import CPU, Costs, sized
from piti.plan.disk import ENDLESS, expected, extracted, file_systems, folders, free
from piti.plan.gpu import GPUS
from piti.plan.host import need
from piti.plan.jobs import asked, gpus_of, memory_of
from piti.plan.memory import fits, peak, remedies
from piti.plan.steps import STEPS
from piti.registry import unknown_key
from piti.store.files import InputError
from piti.units import span

# The order of the journey.
LEGS = ("downloads", "weights", "data", "shards", "sketches", "models", "sampled", "upsampled", "generated", "features")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("target", nargs="?", metavar="TABLE", help="a table or figure; everything if not given")
    names = ", ".join((*GPUS, CPU))
    parser.add_argument("--gpu", metavar="NAME", help=f"modelled times of this device: {names}")


def run(arguments: Namespace, config: Config) -> None:
    plan, tables, figures = resolve(config)
    shown, targets = copies(plan, tables, figures), tables | figures
    if arguments.target is not None:
        if arguments.target not in targets:
            raise InputError(unknown_key(arguments.target, targets, "plan").replace("key", "name"))
        targets = {arguments.target: targets[arguments.target]}
        tables = {name: table for name, table in tables.items() if name in targets}
        shown = {plain: path for plain, path in shown.items() if path == targets[arguments.target].path}
    costs = Costs(plan, arguments.gpu)
    ends = [path for path in shown.values() if path in costs.by_path]  # the study's page is beside what Table 2 counts
    wanted, todo = costs.chain(ends), costs.todo(ends)
    print(f"{config.preset} preset, {arguments.target or 'everything'}; results in {config.results}")
    parts = [jobs(wanted, todo, shown, arguments.target or "all"), hours(costs, targets, tables, ends)]
    parts += [works(costs, wanted), hosts(costs, wanted), disk(costs, wanted), highest(costs, wanted, todo)]
    for part in (*parts, missing(costs, tables, todo)):
        print("", *part, sep="\n")


def jobs(wanted: dict[str, Artefact], todo: dict[str, Artefact], shown: dict[str, str], target: str) -> Iterator[str]:
    """Jobs of each rule, as Snakemake counts them: what is shown is copied, and the target itself is a job too."""
    every, left = (Counter(artefact.step for artefact in some.values()) for some in (wanted, todo))
    old = sum(not current(plain, path) for plain, path in shown.items())
    every |= {"copy": len(shown), target: 1}
    left |= {"copy": old, target: min(old, 1)}
    yield f"{'rule':<18}{'jobs':>8}{'to do':>8}"
    for rule, number in every.items():
        more = f"  to a plain name, such as {min(shown)}" if rule == "copy" else ""
        yield f"{rule:<18}{number:>8,}{left[rule]:>8,}{more}"
    yield f"{'sum':<18}{every.total():>8,}{left.total():>8,}"


def hours(costs: Costs, targets: dict[str, Artefact], tables: dict[str, Artefact], ends: list[str]) -> Iterator[str]:
    """Device time of each target; what they share is counted once in the sum."""
    yield f"{'time':<18}{'all':>10}{'to do':>10}"
    for name, target in targets.items():
        chain, left = costs.chain([target.path]), costs.todo([target.path])
        yield f"{name:<18}{span(costs.total(chain)):>10}{span(costs.left(left)):>10}"
    wanted = costs.chain(ends)
    total = costs.total(wanted)
    yield f"{'shared, once':<18}{span(total):>10}{span(costs.left(costs.todo(ends))):>10}"
    unshared, release = costs.unshared(tables.values()), costs.unshared(tables.values(), release=True)
    if release:  # a table of alignment alone is measured on pictures of others
        yield f"{'unshared':<18}{span(unshared):>10}  each model of each table trained for that alone"
        yield f"{'as the release':<18}{span(release):>10}  and gradients of frozen weights, the encoder at every step"
        yield f"{'ours / theirs':<18}{total / release:>10.2f}"
    yield f"of one device ({costs.source})"
    if costs.uncounted:
        names = ", ".join(costs.uncounted)
        yield f"without {names}: networks that nobody has counted (python -m piti.count)"


def work(costs: Costs, artefact: Artefact) -> str:
    """The kind of work that it is: its step, of a training its row of models.yaml too."""
    row = row_of(costs.config.models, artefact.name) if isinstance(artefact.card, TrainCard) else None
    return f"{artefact.step} {row}" if row else artefact.step


def works(costs: Costs, wanted: dict[str, Artefact]) -> Iterator[str]:
    """Time and peak of memory by row of models.yaml and kind of sampling, and what would make the rest fit."""
    groups = defaultdict(list)
    for artefact in wanted.values():
        if sized(artefact.card):
            groups[work(costs, artefact)].append(artefact)
    room = costs.gpu.memory if costs.gpu else None
    of_gpu = f"  {'precision':<11}{'at once':>7}{'GiB':>7}  of {room} on {costs.device}" if room else ""
    yield f"{'work':<30}{'jobs':>6}{'time':>10}{of_gpu}"
    for kind, artefacts in groups.items():
        line = f"{kind:<30}{len(artefacts):>6}{span(sum(map(costs.hours, artefacts))):>10}"
        yield f"{line}  {memory([a.card for a in artefacts], costs, room)}" if room else line


def hosts(costs: Costs, wanted: dict[str, Artefact]) -> Iterator[str]:
    """What a job takes of its node at most, and what it asks for, by kind of work. Downloads, tables and the like run
    where one works.
    """
    groups = defaultdict(list)
    for artefact in wanted.values():
        if not STEPS[artefact.step].local:
            groups[work(costs, artefact)].append(artefact)
    yield f"{'':<30}{'estimated, with one GPU':>30}  {'asked for (`jobs`)':>34}"
    taken, wants = f"{'CPUs':>6}{'memory':>12}{'/dev/shm':>12}", f"{'CPUs':>6}{'memory':>12}{'GPUs':>6}{'time':>10}"
    yield f"{'of a node, a job':<30}{taken}  {wants}"
    for kind, artefacts in groups.items():
        needs = [need(costs, artefact) for artefact in artefacts]
        memory, shm, cpus = (max(getattr(one, part) for one in needs) for part in ("memory", "shm", "cpus"))
        asks = [asked(costs.config.jobs, artefact.step, artefact.name) for artefact in artefacts]
        most = {key: max(one.get(key, 0) for one in asks) for key in ("cpus_per_task", "runtime")}
        room, gpus = max(map(memory_of, asks)), max(gpus_of(one) or 0 for one in asks)
        line = f"{kind:<30}{cpus:>6}{memory / 1e9:>9,.1f} GB{shm / 1e9:>9,.1f} GB"
        line += f"  {most['cpus_per_task']:>6}{room / 1000:>9,.1f} GB{gpus:>6}{span(most['runtime'] / 60):>10}"
        yield line + ("  too little memory" if memory > 1e6 * room else "")


def memory(cards: list[Card], costs: Costs, room: float) -> str:
    """The largest peak of these, and whether it fits."""
    found = {card: peak(card, costs.machine) for card in cards}
    unknown = sum(p.gib is None for p in found.values())
    card = max(found, key=lambda card: found[card].gib or 0)
    precision, images, gib = found[card]
    if gib is None:
        return f"{precision:<11}{images:>7}{'?':>7}  unknown"
    others = f", {unknown} unknown" if unknown else ""
    if fits(found[card], room):
        return f"{precision:<11}{images:>7}{gib:>7.1f}  fits{others}"
    ways = remedies(card, costs.machine, room)
    return f"{precision:<11}{images:>7}{gib:>7.1f}  too much; enough: {' or '.join(ways) or 'a larger GPU'}{others}"


def disk(costs: Costs, wanted: dict[str, Artefact]) -> Iterator[str]:
    """Gigabytes by folder."""
    found = folders(costs, wanted.values())
    yield f"{'GB, estimated':<18}{'all':>10}{'there':>10}"
    for leg in (leg for leg in LEGS if leg in found):
        unknown = f"  and {found[leg].unknown} of unknown size" if found[leg].unknown else ""
        yield f"{leg:<18}{found[leg].expected / 1e9:>10,.2f}{found[leg].there / 1e9:>10,.2f}{unknown}"
    whole, there = (sum(getattr(folder, part) for folder in found.values()) for part in ("expected", "there"))
    yield f"{'sum':<18}{whole / 1e9:>10,.2f}{there / 1e9:>10,.2f}"


def highest(costs: Costs, wanted: dict[str, Artefact], todo: dict[str, Artefact]) -> Iterator[str]:
    """Gigabytes and files by file system, at the end and at their highest moment, and whether there is room."""
    yield f"{'by file system':<32}{'at the end':>12}{'highest':>12}{'to come':>12}{'free':>12}"
    for found in file_systems(costs, wanted.values(), todo.values()):
        rooms = (found.end, found.highest, found.to_come, found.free)
        yield f"{', '.join(found.folders):<32}" + "".join(f"{room.bytes / 1e9:>9,.1f} GB" for room in rooms)
        counts = ["?" if room.files == ENDLESS else f"{room.files:,}" for room in rooms]
        yield f"{'  files':<32}" + "".join(f"{count:>12}" for count in counts)
        yield from filter(None, [found.short and f"will not fit: {found.short}"])
    if any(artefact.step == "extract" for artefact in wanted.values()):
        yield "highest: with every archive extracted at once, and the largest checkpoint beside its next"
    if place := costs.machine.scratch:
        rooms = [extracted(costs, artefact) for artefact in wanted.values() if artefact.step == "pack"]
        size, number = (max((getattr(room, part) for room in rooms), default=0) for part in ("bytes", "files"))
        yield f"scratch: a packing takes at most {size / 1e9:,.1f} GB and {number:,} files of {place} on its node"
        if Path(here := os.path.expandvars(place)).is_dir():
            yield f"  here that is {here}, with {free(Path(here)).bytes / 1e9:,.1f} GB free"


def missing(costs: Costs, tables: dict[str, Artefact], todo: dict[str, Artefact]) -> Iterator[str]:
    """What is to be downloaded, which files of the user's own are not there, and what cannot be made."""
    fetched = [expected(costs, a) for a in todo.values() if isinstance(a.card, DownloadCard)]
    if fetched:
        unknown, size = fetched.count(None), sum(filter(None, fetched)) / 1e9
        yield f"to download: {len(fetched)} files, {size:,.1f} GB" + (f" and {unknown} of unknown size" * bool(unknown))
    given = {path for artefact in todo.values() for path in artefact.given.values()}
    for path in sorted(path for path in given if not os.path.exists(path)):
        yield f"missing: {path}, which the configuration names"
    for name, table in tables.items():
        reasons = Counter(cell.reason for cell in getattr(table.card, "cells", ()) if cell.reason not in ("", "-"))
        for reason, number in reasons.items():
            yield f"missing: {number} cells of {name}: {reason}"
    if not list(Path("/dev").glob("nvidia[0-9]*")):
        yield "missing: a GPU on this machine"
