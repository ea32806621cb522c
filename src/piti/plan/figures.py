"""Figures: which pictures stand side by side, and what is drawn for a figure alone."""

from dataclasses import replace

from piti.cards import Column, EditsCard, FigureCard, SampleCard, SamplingConfig, Strip, Variant, VariantsCard
from piti.config import SHOWN, Figure, Run
from piti.plan.core import Artefact, Plan, Unavailable
from piti.plan.data import packed
from piti.plan.samples import base_samples, samples_of, sampling
from piti.plan.scores import score_of

# What the pictures of an edit show -> the paper's headings.
EDITED = {
    "original": "Original image",
    "condition": "Original condition",
    "edited_condition": "Edited condition",
    "edited": "Edited image",
    "reconstruction": "Reconstruction",
}


def figure(plan: Plan, name: str) -> Artefact:
    """A grid of pictures for some tasks and methods. A task without data says why."""
    config, entry = plan.config, plan.config.figures[name]
    strips, files, scores = [], [], []
    for task in entry.tasks:
        try:
            found, made = strip(plan, entry, task)
            if entry.worst:
                scores.append(worst(plan, entry, task))
                found = replace(found, worst=scores[-1].digest)
        except Unavailable as reason:
            found, made = Strip(columns=(Column(heading=config.tasks[task].label, reason=str(reason)),)), []
        strips.append(found)
        files += made
    card = FigureCard(
        name=name,
        title=entry.title,
        preset=config.preset,
        note=config.note,
        images=entry.images,
        seed=config.seeds[0],
        strips=tuple(strips),
        page=entry.page,
        wrap=entry.wrap,
        crop=entry.crop,
    )
    return plan.add("make_figure", name, card, {"pictures": files, "scores": scores})


def strip(plan: Plan, entry: Figure, task: str) -> tuple[Strip, list[Artefact]]:
    """The pictures of one task, and the files they come from. Unavailable where the task has no data or is left out."""
    plan.refuse_left_out(task)
    found, files = [], []
    for name in entry.columns:
        for column in columns(plan, entry, task, name):
            if entry.curves:
                column = replace(column, **curve(plan, name))
            try:
                files.append(plan.present(pictures(plan, entry, task, name)))
                found.append(replace(column, pictures=files[-1].digest))
            except Unavailable as reason:
                if name not in plan.config.methods:
                    raise
                found.append(replace(column, reason=str(reason)))
    return Strip(columns=tuple(found), ids=tuple(entry.edits) or entry.ids.get(task, ())), files


def worst(plan: Plan, entry: Figure, task: str) -> Artefact:
    """The score that tells which images the figure's last method follows worst."""
    run = Run(method=last_method(plan, entry), task=task, metric=entry.worst)
    return plan.present(score_of(plan, run, plan.config.seeds[0]))


def last_method(plan: Plan, entry: Figure) -> str:
    return [column for column in entry.columns if column in plan.config.methods][-1]


def columns(plan: Plan, entry: Figure, task: str, name: str) -> list[Column]:
    """The columns that a name of the configuration stands for, their pictures still missing: one, or one a seed."""
    methods = plan.config.methods
    if entry.edits:
        return [Column(heading=heading, variant=kind) for kind, heading in EDITED.items()]
    heading = entry.headings.get(name) or (methods[name].label if name in methods else SHOWN[name])
    if name == "condition":
        heading = f"{heading}: {plan.config.tasks[task].label}"
    if name not in methods or not entry.seeds:
        return [Column(heading=heading)]
    several = len(entry.seeds) > 1
    return [
        Column(heading=f"{heading} {number}" if several else heading, variant=f"{name}-{seed}")
        for number, seed in enumerate(entry.seeds, 1)
    ]


def curve(plan: Plan, name: str) -> dict:
    """Which curve over w a column's pictures are measured for. The real images are a level, the condition is none."""
    if name not in plan.config.methods:
        return {"curve": SHOWN[name]} if name == "real_image" else {}
    sampling = plan.config.methods[name].sampling
    return {"curve": "CF" if sampling.normalise == "none" else "NCF", "guidance": sampling.guidance}


def pictures(plan: Plan, entry: Figure, task: str, name: str) -> Artefact:
    """The pictures behind a column."""
    config, seed = plan.config, plan.config.seeds[0]
    if name == "condition":
        return packed(plan, config.tasks[task].dataset, "test", config.tasks[task].condition)
    if name == "real_image":
        return packed(plan, config.tasks[task].dataset, "test", "images")
    if name == "low_res":
        return base_samples(plan, last_method(plan, entry), task, 1.0, seed)
    if entry.edits:
        return edited(plan, entry, task, name)
    return variants(plan, entry, task, name) if entry.seeds else samples_of(plan, name, task, 1.0, seed)


def variants(plan: Plan, entry: Figure, task: str, method: str) -> Artefact:
    """The figure's own pictures by a method: one process draws them for all its methods with the same models."""
    config = plan.config

    def loaded(name: str) -> tuple[str, str, str]:
        of = config.methods[name]
        return of.base, of.upsampler, of.sampling.precision

    alike = [name for name in entry.columns if name in config.methods and loaded(name) == loaded(method)]
    base, upsampler, inputs = stages(plan, method, task)
    own = {"seed": 0, "sampling": SamplingConfig()}
    card = VariantsCard(
        base=replace(base, **own),
        upsampler=replace(upsampler, **own),
        variants=tuple(
            Variant(name=f"{name}-{drawn}", seed=drawn, sampling=config.methods[name].sampling)
            for name in alike
            for drawn in entry.seeds
        ),
        images=entry.images,
        seed=config.seeds[0],
        page=entry.page,
        ids=entry.ids.get(task, ()),
    )
    return plan.add("draw_variants", inputs["model"][0].name, card, inputs)


def edited(plan: Plan, entry: Figure, task: str, method: str) -> Artefact:
    """Real images edited by a method: everything that the figure shows of them."""
    base, upsampler, inputs = stages(plan, method, task)
    card = EditsCard(base=base, upsampler=upsampler, edits=entry.edits, seed=plan.config.seeds[0])
    inputs["real_images"] = [pictures(plan, entry, task, "real_image")]
    return plan.add("edit_samples", inputs["model"][0].name, card, inputs)


def stages(plan: Plan, method: str, task: str) -> tuple[SampleCard, SampleCard, dict[str, list[Artefact]]]:
    """How a method's base model and upsampler draw pictures, for a step that does both; and from what."""
    seed = plan.config.seeds[0]
    base, inputs = sampling(plan, method, task, 1.0, seed)
    upsampler, more = sampling(plan, method, task, 1.0, seed, low_res="base")
    return base, upsampler, inputs | {"upsampler": more["model"]}
