"""The user study: whose pictures are compared, and whose votes count."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from piti.cards import Comparison, Contestant, StudyCard, TallyCard
from piti.plan.core import Artefact, Plan, Unavailable
from piti.plan.data import substitution
from piti.plan.samples import samples_of
from piti.report.study import votes
from piti.store.files import file_digest
from piti.store.provenance import PACKAGE

SITE = PACKAGE / "report" / "study" / "site"


def study(plan: Plan) -> Artefact:
    """The page and the key to its pairs, of pictures that Table 1 needs too. An opponent without any is left out."""
    entry, inputs = plan.config.study, {"ours": [], "against": []}
    ours = _contestant(plan, entry.method, inputs["ours"])
    against = tuple(_contestant(plan, method, inputs["against"]) for method in entry.against)
    page = _digest(sorted(SITE.iterdir()))
    card = StudyCard(ours=ours, against=against, pairs=entry.pairs, seed=entry.seed, page=page)
    return plan.add("make_study", entry.task, card, {k: v for k, v in inputs.items() if v})


def tally(plan: Plan) -> Artefact:
    """The table of preferences. New votes make a new table; a folder that is not there is the step's to refuse."""
    config, entry, key = plan.config, plan.config.study, study(plan)
    card = TallyCard(
        name="table2",
        title=entry.title,
        preset=config.preset,
        comparable=config.comparable,
        note=config.note,
        ours=config.methods[entry.method].label,
        study=key.digest,
        comparisons=tuple(
            Comparison(over=method, label=config.methods[method].label, paper=paper)
            for method, paper in entry.against.items()
        ),
        votes=_digest(votes.files(Path(entry.votes))) if entry.votes and Path(entry.votes).is_dir() else "",
        substitution=substitution(plan, config.tasks[entry.task].dataset),
    )
    given = {"votes": entry.votes} if entry.votes else {}
    return plan.add("tally_study", "table2", card, {"study": [key]}, given)


def _contestant(plan: Plan, method: str, files: list[Artefact]) -> Contestant:
    """One method; its samples join `files`, or it says why there are none."""
    try:
        files.append(plan.present(samples_of(plan, method, plan.config.study.task, 1.0, plan.config.seeds[0])))
    except Unavailable as reason:
        return Contestant(method=method, reason=str(reason))
    return Contestant(method=method, samples=files[-1].digest)


def _digest(files: Iterable[Path]) -> str:
    """Ten hexadecimal characters over the names and contents of files."""
    found = [(file.name, file_digest(file)) for file in files]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:10]
