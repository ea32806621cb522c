"""PITI, regenerated end to end. `snakemake all`, `snakemake results/table1.csv`, `snakemake --profile slurm all`."""


configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/weights.smk"
include: "rules/train.smk"
include: "rules/sample.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"


localrules:
    all,
    tables,
    figures,


rule all:
    default_target: True
    input:
        tables=[f"{RESULTS}/{table}.csv" for table in planned_tables],
        figures=[f"{RESULTS}/{figure}.png" for figure in planned_figures],


rule tables:
    input:
        rules.all.input.tables,


rule figures:
    input:
        rules.all.input.figures,


# Short names are targets too: `snakemake table1`.
for target, suffix in [(t, "csv") for t in planned_tables] + [(f, "png") for f in planned_figures]:

    rule:
        name:
            target
        input:
            f"{RESULTS}/{target}.{suffix}",
        localrule: True
