"""What the Snakefile defines, as Snakemake itself has it: `python -m tests.house.rules` prints it as JSON.

A process of its own, because the Snakefile sets up the one that it is read in.
"""

import json

from snakemake.api import SnakemakeApi
from snakemake.io import strip_wildcard_constraints
from snakemake.rules import Rule
from snakemake.settings.types import OutputSettings, ResourceSettings

from tests.house import ROOT


def main() -> None:
    with SnakemakeApi(OutputSettings(quiet={"all"})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(), snakefile=ROOT / "Snakefile", workdir=ROOT
        )._workflow
        print(
            json.dumps(
                {rule.name: said(rule) | {"local": rule.name in workflow._localrules} for rule in workflow.rules}
            )
        )


def said(rule: Rule) -> dict:
    return {
        "doc": rule.docstring,
        "shell": rule.shellcmd,
        "output": list(map(strip_wildcard_constraints, rule.output)),
        "folders": [str(file) for file in rule.output if file.is_directory],
        "temporary": [str(file) for file in rule.output if "temp" in file.flags],
        "log": list(map(str, rule.log)),
        "benchmark": rule.benchmark and str(rule.benchmark),
        "conda": rule.conda_env,
        "resources": [name for name in rule.resources if not name.startswith("_")],
    }


if __name__ == "__main__":
    main()
