"""Scores: features, distances, and how well pictures follow their conditions."""

from dataclasses import replace

from piti.cards import AlignmentCard, FeaturesCard, ScoreCard
from piti.config import Run
from piti.evaluate.measures import MEASURES
from piti.plan.core import Artefact, Plan, Unavailable
from piti.plan.data import packed, weights_of
from piti.plan.models import estimator, trained
from piti.plan.samples import samples_of


def features_of(plan: Plan, images: Artefact, extractor: str, resolution: int = 0) -> Artefact:
    """Features of packed pictures, real and generated alike; made small before, if a resolution is given."""
    weights = weights_of(plan, extractor)
    card = FeaturesCard(images=images.digest, extractor=extractor, weights=weights.digest, resolution=resolution)
    name = "-".join([images.name, extractor, *([f"{resolution}px"] if resolution else [])])
    return plan.add("extract_features", name, card, {"images": [images], "weights": [weights]})


def score_of(plan: Plan, run: Run, seed: int) -> Artefact:
    """How well a run's samples follow their conditions, or their distance from the task's real test images."""
    if run.metric in MEASURES:
        return _alignment(plan, run, seed)
    task, small = plan.config.tasks[run.task], plan.config.networks.base_resolution if run.resolution else 0
    seen = (plan.config.extractors[run.metric], small)
    fake = features_of(plan, samples_of(plan, run.method, run.task, run.fraction or 1.0, seed), *seen)
    real = features_of(plan, packed(plan, task.dataset, "test", "images"), *seen)
    card = ScoreCard(real=real.digest, fake=fake.digest, min_images=plan.config.min_images)
    return plan.add("score", fake.name, card, {"real": [real], "fake": [fake]})


def _alignment(plan: Plan, run: Run, seed: int) -> Artefact:
    """By the estimator of the task, always the one of seed 0; sketches by the network that drew them."""
    task, measure, networks = plan.config.tasks[run.task], MEASURES[run.metric], plan.config.networks
    if task.condition != measure.condition:
        raise Unavailable("-")
    if run.resolution:
        raise Unavailable("not measured on smaller pictures")
    images = samples_of(plan, run.method, run.task, run.fraction or 1.0, seed)
    conditions = packed(plan, task.dataset, "test", task.condition)
    card = AlignmentCard(
        measure=run.metric, images=images.digest, conditions=conditions.digest, min_images=plan.config.min_images
    )
    inputs = {"images": [images], "conditions": [conditions]}
    if measure.network == "estimator":
        if not (row := plan.config.estimators.get(task.condition)):
            raise Unavailable(f"no estimator configured for {task.condition}")
        network = trained(plan, row, run.task, 1.0, 0)
        card = replace(card, network=network.digest, estimator=estimator(plan, task.dataset, task.condition))
    elif measure.network == "hed":
        network, seen = weights_of(plan, networks.hed), networks.hed_resolution
        card = replace(card, network=network.digest, hed_resolution=seen if seen != networks.image_resolution else 0)
    if measure.network:
        inputs["network"] = [network]
    return plan.add("measure_alignment", f"{images.name}-{run.metric}", card, inputs)
