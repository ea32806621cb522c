"""The plan: configuration in; every artefact with its card, its inputs and its path out.

`resolve` asks for all tables and figures, `report` for the page that shows them; the Snakefile's rules look up in the
plan what a path needs.
"""

from piti.config import Config
from piti.plan.core import Artefact, Plan, Unavailable
from piti.plan.figures import figure
from piti.plan.jobs import refuse_impossible
from piti.plan.report import report
from piti.plan.study import tally
from piti.plan.tables import metric_check, table
from piti.store.files import InputError

__all__ = ["Artefact", "Plan", "Unavailable", "report", "resolve"]


def resolve(config: Config) -> tuple[Plan, dict[str, Artefact], dict[str, Artefact]]:
    """The plan of everything, and what it is for: tables and figures by name."""
    plan = Plan(config)
    tables = {name: table(plan, name) for name in config.tables}
    others = {"table2": tally(plan)} if config.study else {}
    others |= {"metric_check": metric_check(plan)} if config.metric_check else {}
    if taken := tables.keys() & {*others, *config.figures}:
        raise InputError(f"tables.{min(taken)}: found a table of this name, expected another: something else has it")
    tables |= others
    figures = {name: figure(plan, name) for name in config.figures}
    refuse_impossible(config.jobs, plan.artefacts.values())
    return plan, dict(sorted(tables.items())), figures
