"""PITI, regenerated end to end. `snakemake all`, `snakemake results/table1.csv`, `snakemake --profile slurm all`."""

import os

# A job that was submitted reads what was submitted (rules/common.smk), whatever the file says by now.
if workflow.is_main_process or "PITI_RUN" not in os.environ:

    configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/steps.smk"


if not submitted:  # what is shown is made where Snakemake was started

    include: "rules/publish.smk"


localrules:
    all,
    tables,
    figures,
    report,
    prior,


rule all:
    default_target: True
    input:
        list(COPIES),
        tables=[f"{RESULTS}/{table}.csv" for table in planned_tables],
        figures=[f"{RESULTS}/{figure}.{form}" for figure in planned_figures for form in ("png", "pdf")],


rule tables:
    input:
        rules.all.input.tables,


rule figures:
    input:
        rules.all.input.figures,


rule report:
    input:
        f"{RESULTS}/report.html",


rule prior:  # both files of the generative prior
    input:
        lambda wildcards: [
            trained(plan, row, "", 1.0, settings.seeds[0]).path for row in ("prior_base", "prior_upsampler")
        ],


# Short names are targets too: `snakemake table1`.
for target, suffix in [(t, "csv") for t in planned_tables] + [(f, "png") for f in planned_figures]:

    rule:
        name:
            target
        input:
            f"{RESULTS}/{target}.{suffix}",
        localrule: True
