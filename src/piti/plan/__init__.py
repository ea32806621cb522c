"""The plan: configuration in; every artefact with its card, its inputs and its path out.

`resolve` asks for all tables and figures, `report` for the page that shows them; the Snakefile's rules look up in the
plan what a path needs.
"""

from piti.config import Config
from piti.plan.core import Artefact, Plan, Unavailable
from piti.plan.figures import figure
from piti.plan.jobs import refuse_impossible
from piti.plan.report import report
from piti.plan.steps import STEPS
from piti.plan.study import tally
from piti.plan.tables import metric_check, table
from piti.store.files import InputError

__all__ = ["Artefact", "Plan", "Unavailable", "report", "resolve"]

# Of the Snakefile, beside those of steps. A table or figure has a rule of its own name, too: `snakemake table1`.
RULES = {"all", "tables", "figures", "report", "prior"}
RULES |= {"publish_table", "publish_figure", "publish_study", "publish_report"}


def resolve(config: Config) -> tuple[Plan, dict[str, Artefact], dict[str, Artefact]]:
    """The plan of everything, and what it is for: tables and figures by name."""
    plan = Plan(config)
    tables = {name: table(plan, name) for name in config.tables}
    others = {"table2": tally(plan)} if config.study else {}
    others |= {"metric_check": metric_check(plan)} if config.metric_check else {}
    known = {*others, *RULES, *STEPS}
    for what, named, others_have in (
        ("table", config.tables, {*known, *config.figures}),
        ("figure", config.figures, known),
    ):
        if taken := named.keys() & others_have:
            raise InputError(
                f"{what}s.{min(taken)}: found a {what} of this name, expected another: something else has it"
            )
    tables |= others
    figures = {name: figure(plan, name) for name in config.figures}
    refuse_impossible(config.jobs, plan.artefacts.values())
    return plan, dict(sorted(tables.items())), figures
