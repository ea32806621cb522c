"""The report: which claims it checks, and what it shows."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from piti.cards import ClaimCard, ClaimsCard, Ordering, ReportCard
from piti.config import Claim, Run
from piti.plan.core import Artefact, Plan
from piti.plan.cost import is_prior
from piti.plan.tables import cell, head, in_pairs, join, label, trainings
from piti.store.files import InputError, file_digest
from piti.store.provenance import code_digest

DEVIATIONS = Path(__file__).parents[3] / "DEVIATIONS.md"
TITLE = "PITI: Pretraining is All You Need for Image-to-Image Translation, regenerated"


def report(plan: Plan, tables: dict[str, Artefact], figures: dict[str, Artefact]) -> Artefact:
    """The page that shows the tables, the figures and the claims."""
    config, checked = plan.config, claims(plan)
    steps = sorted({step for step, _ in plan.artefacts})
    card = ReportCard(
        title=TITLE,
        preset=config.preset,
        note=config.note,
        comparable=config.comparable,
        tables=tuple(t.digest for t in tables.values()),
        figures=tuple(f.digest for f in figures.values()),
        claims=checked.digest,
        deviations=file_digest(DEVIATIONS)[:10],
        rows=tuple(config.models),
        code_now={step: code_digest(f"piti.steps.{step}", *config.plugins) for step in steps},
    )
    inputs = {"tables": tables.values(), "figures": figures.values(), "claims": [checked]}
    return plan.add("make_report", "report", card, inputs, {"deviations": str(DEVIATIONS)})


def claims(plan: Plan) -> Artefact:
    """All claims, compared score by score."""
    cards, inputs = [], {"better": [], "than": []}
    for name, claim in plan.config.claims.items():
        orderings = []
        for task in claim.tasks:
            for better, than in pairwise(claim.order):
                orderings.append(ordering(plan, claim, task, better, than, inputs))
        if orderings:
            cards.append(ClaimCard(name=name, text=claim.text, orderings=tuple(orderings)))
    return plan.add(
        "compare_scores", "claims", ClaimsCard(claims=tuple(cards), no_verdict=plan.config.no_verdict), inputs
    )


def ordering(
    plan: Plan, claim: Claim, task: str, better: Run, than: Run, inputs: dict[str, list[Artefact]]
) -> Ordering:
    """One run better than another on a task. Their scores, if both have one a seed, join `inputs`."""
    both = Run(task=task, metric=claim.metric, seeds=claim.seeds)
    better, than = join(better, both), join(than, both)
    named = {"better": label(plan, better, ""), "than": label(plan, than, "")}
    if named["better"] == named["than"]:
        raise InputError(f"claims: {claim.text}: found {named['than']!r} twice, expected a label of its own for each")
    found = Ordering(**named, task=plan.config.tasks[task].label, measure=head(plan, better))
    scores = []
    for run, name in ((better, found.better), (than, found.than)):
        measured, made = cell(plan, run)
        if measured.reason or measured.selected:
            return replace(found, reason=f"{name}: {measured.reason or 'selected on the test set'}")
        scores.append(made)
        found = replace(found, by_rule=found.by_rule or measured.by_rule)
    equal_steps = claim.equal_steps and steps(plan, *scores) == steps(plan, *scores[::-1])
    try:
        first, second = in_pairs(plan, (better, scores[0]), (than, scores[1]))
    except InputError as error:
        raise InputError(f"claims: {claim.text}: {error}") from None
    inputs["better"] += first
    inputs["than"] += second
    better_scores, than_scores = (tuple(score.digest for score in made) for made in (first, second))
    return replace(found, better_scores=better_scores, than_scores=than_scores, equal_steps=equal_steps)


def steps(plan: Plan, scores: list[Artefact], others: list[Artefact]) -> int:
    """How long was trained for these scores: without priors, and what the others share."""
    shared = trainings(plan, others)
    own = (card for path, card in trainings(plan, scores).items() if path not in shared)
    return sum(card.training.steps for card in own if not is_prior(card))
