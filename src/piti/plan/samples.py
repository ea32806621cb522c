"""Pictures: what a method makes of a task's test conditions."""

import hashlib
import os
from pathlib import Path

from piti.cards import GatherCard, GenerateCard, SampleCard, TrainCard
from piti.cards.baselines import BASELINES
from piti.conditions import CONDITIONS
from piti.datasets import listing
from piti.plan.core import Artefact, Plan, Unavailable, once
from piti.plan.data import packed
from piti.plan.models import baseline, trained
from piti.store.files import InputError


@once
def samples_of(plan: Plan, method: str, task: str, fraction: float, seed: int) -> Artefact:
    """What a method makes of a task's test conditions: base samples, then upsampled."""
    config, entry = plan.config, plan.config.methods[method]
    dataset, condition = config.tasks[task].dataset, config.tasks[task].condition
    if condition not in (taken_by(plan, method) or [condition]):
        raise Unavailable("-")
    if entry.pictures:
        return _gathered(plan, method, task, fraction)
    plan.refuse_left_out(task, method)
    if entry.real and not entry.models:
        return packed(plan, dataset, "test", "images")
    conditions = packed(plan, dataset, "test", condition)
    if entry.generator:
        return _generated(plan, entry.generator, task, fraction, seed, conditions)
    if entry.real:
        low_res = packed(plan, dataset, "test", "images", shrunk=True)
    else:
        low_res = base_samples(plan, method, task, fraction, seed)
    card, inputs = sampling(plan, method, task, fraction, seed, low_res.digest)
    inputs["low_res"] = [low_res]
    return plan.add("upsample", inputs["model"][0].name, card, inputs)


def taken_by(plan: Plan, method: str) -> tuple[str, ...]:
    """The kinds of condition that a method takes: its own `conditions`, else its baseline's. Empty: all."""
    config, entry = plan.config, plan.config.methods[method]
    if entry.conditions or not entry.generator:
        return entry.conditions
    return BASELINES[config.models[entry.generator].kind].conditions


def _gathered(plan: Plan, method: str, task: str, fraction: float) -> Artefact:
    """Pictures of the user's own, joined to the test images. None are of a training on fewer pairs."""
    folder = plan.config.methods[method].pictures.get(task)
    if not folder or fraction != 1:
        raise Unavailable("no pictures given")
    images, resolution = (
        packed(plan, plan.config.tasks[task].dataset, "test", "images"),
        plan.config.networks.image_resolution,
    )
    card = GatherCard(
        content=_contents(Path(folder)),
        images=images.digest,
        resolution=resolution,
        shard_size=plan.config.shard_size,
    )
    given = {"folder": folder}
    # Named by no method: `piti score` and a table share the scores.
    return plan.add("gather_pictures", f"pictures-{task}", card, {"images": [images]}, given)


@once
def base_samples(plan: Plan, method: str, task: str, fraction: float, seed: int) -> Artefact:
    """The base model's pictures, which every upsampler of the same base shares."""
    card, inputs = sampling(plan, method, task, fraction, seed)
    return plan.add("sample", inputs["model"][0].name, card, inputs)


def sampling(
    plan: Plan, method: str, task: str, fraction: float, seed: int, low_res: str = ""
) -> tuple[SampleCard, dict[str, list[Artefact]]]:
    """How a method's base model draws pictures, or of `low_res` pictures its upsampler; and from what."""
    plan.refuse_left_out(task, method)
    config, entry = plan.config, plan.config.methods[method]
    key, networks = "upsampler" if low_res else "base", config.networks
    if not (row := entry.models.get(key)):
        instead = " (only in tables best_of takes its place)" if entry.best_of else ""
        raise InputError(f"methods.{method}.{key}: found none, expected a row of models{instead}")
    model, training = trained(plan, row, task, fraction, seed), config.models[row]
    if fraction != 1 and not low_res and not isinstance(model.card, TrainCard):
        raise Unavailable(f"no weights of a training on {100 * fraction:g}% of the pairs")
    conditions = packed(plan, config.tasks[task].dataset, "test", config.tasks[task].condition)
    card = SampleCard(
        model=model.digest,
        conditions=conditions.digest,
        sampling=entry.sampling,
        seed=seed,
        resolution=networks.image_resolution if low_res else networks.base_resolution,
        unet=networks.upsampler if low_res else networks.base,
        encoder=networks.encoder,
        noise_schedule=training.noise_schedule,
        diffusion_steps=training.diffusion_steps,
        void=training.void,
        low_res=low_res,
        shard_size=config.sample_shard_size,
    )
    return card, {"model": [model], "conditions": [conditions]}


def _generated(plan: Plan, row: str, task: str, fraction: float, seed: int, conditions: Artefact) -> Artefact:
    dataset, condition = plan.config.tasks[task].dataset, plan.config.tasks[task].condition
    model, entry = trained(plan, row, task, fraction, seed), plan.config.models[row]
    network, seen = baseline(plan, entry, dataset, condition)
    inputs = {"model": [model], "conditions": [conditions]}
    if dataset in entry.instances and CONDITIONS[condition].labels:
        inputs["instances"] = [packed(plan, dataset, "test", "instances")]
    card = GenerateCard(
        model=model.digest,
        conditions=conditions.digest,
        seed=seed,
        resolution=plan.config.networks.image_resolution,
        baseline=network,
        instances=inputs["instances"][0].digest if "instances" in inputs else "",
        shard_size=plan.config.sample_shard_size,
        **seen,
    )
    return plan.add("generate", model.name, card, inputs)


def _contents(folder: Path) -> str:
    """Ten hexadecimal characters over what is in a folder, by names, sizes and times: other pictures, other scores.

    Who replaces a picture may set its date back; when its entry was last changed, nobody can set.
    What is hidden is no picture; of a link that leads nowhere, and of a folder that holds itself, the step that reads
    them will tell.
    """
    try:
        files = listing.listed(folder)
    except InputError:
        files = {}
    found = [
        (name, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        for name, path in files.items()
        if os.path.exists(path) and (about := os.stat(path))
    ]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:10]
