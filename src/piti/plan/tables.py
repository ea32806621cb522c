"""Tables: which score stands in which cell, or why none does."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from piti.cards import Cell, MetricCheckCard, TableCard, TrainCard
from piti.config import Run, Table
from piti.evaluate.extractors import EXTRACTORS
from piti.evaluate.measures import MEASURES
from piti.plan.core import Artefact, Plan, Unavailable
from piti.plan.data import packed, substitution, weights_of
from piti.plan.scores import score_of
from piti.store.files import InputError

SMALL = "made small"  # pictures, to the size of the base model's
Score = TypeVar("Score")  # planned or read


def table(plan: Plan, name: str) -> Artefact:
    """A table of the configuration: its cells' scores, or their reasons."""
    config, grid = plan.config, plan.config.tables[name]
    rows = {row: label(plan, run, row) for row, run in grid.rows.items()}
    columns = headings(plan, grid)
    for key, named in {"rows": rows, "columns": columns}.items():
        if again := [one for one, count in Counter(named.values()).items() if count > 1]:
            raise InputError(f"tables.{name}.{key}: found {again[0]!r} twice, expected a label of its own for each")
    cells, scores, references = [], [], defaultdict(set)
    for row, row_run in grid.rows.items():
        for index, (column, column_run) in enumerate(grid.columns.items()):
            found, made = cell(plan, join(grid.run, row_run, column_run))
            paper = grid.paper[row][index] if row in grid.paper else "-"
            cells.append(replace(found, row=rows[row], column=columns[column], paper=paper))
            scores.extend(made)
            references[column] |= {score.card.reference for score in made}
            if len(references[column]) > 1:
                expected = "expected those of all rows: tasks are columns"
                raise InputError(f"tables.{name}.columns.{column}: found other test images in row {row}, {expected}")
    card = TableCard(
        name=name,
        title=grid.title,
        preset=config.preset,
        comparable=config.comparable,
        note=config.note,
        rows=tuple(rows.values()),
        columns=tuple(columns.values()),
        cells=tuple(cells),
    )
    return plan.add("make_table", name, card, {"scores": scores})


def cell(plan: Plan, run: Run) -> tuple[Cell, list[Artefact]]:
    """One cell, its place in the table still empty, and its scores, one for each seed."""
    config, entry = plan.config, plan.config.methods[run.method]
    found = Cell(
        row="",
        column="",
        extractor=config.extractors.get(run.metric, run.metric),
        run=f"{run.method}/{run.task}/{100 * (run.fraction or 1):g}%",
        ceiling=entry.real,
        substitution=otherwise(plan, run),
    )
    runs = [replace(run, method=method) for method in entry.best_of] or [run]
    trained = bool(entry.best_of or entry.models)
    seeds = (run.seeds or config.seeds)[: None if trained else 1]
    made, refused = [], []
    for each in runs:
        try:
            made += [plan.present(score_of(plan, each, seed)) for seed in seeds]
        except Unavailable as reason:
            refused.append(str(reason))
    lacking = [reason for reason in refused if reason != "-"]  # the best of those that take such a condition at all
    if lacking or not made:
        return replace(found, reason=lacking[0] if lacking else refused[0]), []
    found = replace(found, by_rule=any(card.validation for card in trainings(plan, made).values()))
    digests = tuple(score.digest for score in made)
    return replace(found, scores=digests, seeds=seeds if trained else (), selected=bool(entry.best_of)), made


def otherwise(plan: Plan, run: Run) -> str:
    """What of a cell is not as in the paper, where its number could stand beside the paper's: data, network, size."""
    found = [substitution(plan, plan.config.tasks[run.task].dataset)]
    if plan.config.comparable and run.metric not in MEASURES:
        extractor = EXTRACTORS[plan.config.extractors[run.metric]]
        found += [f"by {extractor.name}"] if extractor.metric != run.metric else []
        found += [SMALL] if run.resolution else []
    return ", ".join(filter(None, found))


def in_pairs(
    plan: Plan, one: tuple[Run, Sequence[Score]], other: tuple[Run, Sequence[Score]]
) -> tuple[list[Score], ...]:
    """The scores of two runs, seed by seed, as long as each other.

    What nobody trains (real images, pictures made elsewhere) has one score for every seed.
    Raises InputError where two that are trained have other seeds, or the same in another order.
    """
    methods = plan.config.methods
    trained = [(r.method, list(r.seeds or plan.config.seeds)) for r, _ in (one, other) if methods[r.method].models]
    if any(seeds != trained[0][1] for _, seeds in trained):
        found = " and ".join(f"{seeds} of {method}" for method, seeds in trained)
        raise InputError(f"seeds: found {found}, expected the same of both, in the same order")
    longest = max(len(one[1]), len(other[1]))
    return tuple(list(scores) * (longest // len(scores)) for _, scores in (one, other))


def trainings(plan: Plan, made: Iterable[Artefact]) -> dict[str, TrainCard]:
    """By path, the trainings behind these."""
    behind = plan.chain(artefact.path for artefact in made)
    return {path: artefact.card for path, artefact in behind.items() if isinstance(artefact.card, TrainCard)}


def headings(plan: Plan, grid: Table) -> dict[str, str]:
    """Key of each column -> its heading: what it is; and what it measures, but where that is the paper's FID alone."""
    runs = {key: join(grid.run, run) for key, run in grid.columns.items()}
    plain = {head(plan, run) for run in runs.values()} == {e.head for e in EXTRACTORS.values() if e.papers_fid}
    found = {}
    for key, run in grid.columns.items():
        named, measured = label(plan, run, ""), head(plan, runs[key])
        found[key] = f"{named}, {measured}" if named and not plain else named or measured
    return found


def metric_check(plan: Plan) -> Artefact:
    """The table that says whether the scores of all others can be believed."""
    config, entry = plan.config, plan.config.metric_check
    card = MetricCheckCard(
        name="metric_check",
        title=entry.title,
        preset=config.preset,
        note=config.note,
        extractors=config.extractors,
        strengths=entry.strengths,
        seed=config.seeds[0],
    )
    try:
        images = [plan.present(packed(plan, entry.dataset, split, "images")) for split in ("test", "train")]
        weights = [plan.present(weights_of(plan, extractor)) for extractor in config.extractors.values()]
    except Unavailable as reason:
        card, inputs = replace(card, reason=str(reason)), {}
    else:
        reference, real_images = (shards.digest for shards in images)
        card = replace(card, reference=reference, real_images=real_images, weights=tuple(w.digest for w in weights))
        inputs = {"images": images, "weights": weights}
    return plan.add("check_metric", "metric_check", card, inputs)


def label(plan: Plan, run: Run, key: str) -> str:
    """What a row or column is called: its own label, else its method's or its task's."""
    if run.label:
        return run.label
    if run.method:
        return plan.config.methods[run.method].label
    return plan.config.tasks[run.task].label if run.task else key


def head(plan: Plan, run: Run) -> str:
    """What a run's metric is called, with its unit and the direction in which it is better."""
    if run.metric in MEASURES:
        return MEASURES[run.metric].head
    return f"{SMALL}, " * bool(run.resolution) + EXTRACTORS[plan.config.extractors[run.metric]].head


def join(*runs: Run) -> Run:
    """Later runs fill in and override earlier ones."""
    values = {}
    for run in runs:
        values |= {key: value for key, value in vars(run).items() if value not in ("", None, ())}
    return Run(**values)
