"""Print, in Markdown, which of the paper's claims hold here, as far as the scores of both sides exist.

piti claims --config preset=mini

A claim has a line for each of its parts that was run: the difference of the two scores, as its mean over trainings with
the 95 % interval over trainings and images together. Where no part was run, the line of the first says what is missing.
"""

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from piti.config import Config
from piti.plan import resolve
from piti.plan.report import claims
from piti.units import with_interval


def add_arguments(parser: ArgumentParser) -> None:
    pass


def run(arguments: Namespace, config: Config) -> None:
    from piti.evaluate.claims import NOT_RUN, verdicts
    from piti.report.tabular import grid

    plan, _, _ = resolve(replace(config, missing="blank"))
    compared = claims(plan)
    sides = (list(map(Path, compared.inputs.get(side, ()))) for side in ("better", "than"))
    lines = []
    for claim in verdicts(compared.card, *sides):
        parts = [one for one in claim["orderings"] if one["verdict"] != NOT_RUN] or claim["orderings"][:1]
        lines += [[claim["text"], *said(part)] for part in parts]
    print(grid(["the paper says", "on", "here", "difference", "because"], lines))


def said(part: dict) -> list[str]:
    """Of one ordering: the task, the verdict, the difference, and what is to be said besides."""
    difference = ""
    if "value" in part:
        measured = with_interval(part["value"], *part["interval"])
        difference = f"{part['better']} − {part['than']}, {part['measure']}: {measured}"
    return [part["task"], part["verdict"], difference, part["reason"] or part["remark"]]
