"""Figures: which pictures stand side by side."""

from piti.cards import FigureCard, Strip
from piti.config import Figure
from piti.plan.core import Artefact, Plan, Unavailable


def figure(plan: Plan, name: str) -> Artefact:
    """A grid of pictures for some tasks and methods. A task without data is left out."""
    config, entry = plan.config, plan.config.figures[name]
    strips, inputs = [], {"conditions": [], "photographs": [], "low_res": [], "samples": []}
    for task in entry.tasks:
        try:
            found, files = strip(plan, entry, task)
        except Unavailable:
            continue
        strips.append(found)
        for key, artefacts in files.items():
            inputs[key] += artefacts
    card = FigureCard(
        name=name,
        title=entry.title,
        preset=config.preset,
        note=config.note,
        images=entry.images,
        seed=config.seeds[0],
        strips=tuple(strips),
        crop=entry.crop,
    )
    return plan.add("make_figure", "figures", name, "figure.png", card, inputs)


def strip(plan: Plan, entry: Figure, task: str) -> tuple[Strip, dict[str, list[Artefact]]]:
    """The pictures of one task, and the files they come from. Raises Unavailable where the task has no data."""
    config, seed = plan.config, plan.config.seeds[0]
    dataset, condition = config.tasks[task].dataset, config.tasks[task].condition
    conditions = plan.present(plan.packed(dataset, "test", condition))
    photographs = plan.present(plan.packed(dataset, "test", "images"))
    low_res = [plan.present(plan.base_samples(entry.methods[-1], task, 1.0, seed))] if entry.low_res else []
    samples, reasons = [], []
    for method in entry.methods:
        try:
            samples.append(plan.present(plan.samples(method, task, 1.0, seed)))
            reasons.append("")
        except Unavailable as reason:
            samples.append(None)
            reasons.append(str(reason))
    found = Strip(
        task=config.tasks[task].label,
        condition=condition,
        conditions=conditions.digest,
        photographs=photographs.digest,
        labels=tuple(config.methods[method].label for method in entry.methods),
        low_res="".join(a.digest for a in low_res),
        samples=tuple(a.digest if a else "" for a in samples),
        reasons=tuple(reasons),
        ids=entry.ids.get(task, ()),
    )
    made = [a for a in samples if a]
    return found, {"conditions": [conditions], "photographs": [photographs], "low_res": low_res, "samples": made}
