# From numbers and pictures to tables and figures. What they show is addressed by digest like everything else; `publish`
# gives the current ones their plain names.


rule make_table:
    input:
        unpack(files("make_table")),
    output:
        table=path("tables", "table.csv"),
        long=path("tables", "long.csv"),
        markdown=path("tables", "table.md"),
        latex=path("tables", "table.tex"),
    log:
        log_of("make_table"),
    wildcard_constraints:
        name="(?!(table2|metric_check)/)[^/]+",  # made by tally_study and check_metric
    localrule: True
    conda:
        "../envs/report.yaml"
    threads: machine.threads
    params:
        step=command("make_table"),
    shell:
        "{params.step} --output {output.table:q} 2> {log:q}"


rule make_figure:
    input:
        unpack(files("make_figure")),
    output:
        png=path("figures", "figure.png"),
        pdf=path("figures", "figure.pdf"),
    log:
        log_of("make_figure"),
    localrule: True
    conda:
        "../envs/report.yaml"
    threads: machine.threads
    params:
        step=command("make_figure"),
    shell:
        "{params.step} --output {output.png:q} 2> {log:q}"


def outdated(current, plain):
    """Nothing, where `plain` is a copy of what is current, or not there. Else a file of this moment: as one more input it
    makes Snakemake copy again, whoever put the other copy there, and for whichever configuration."""
    if not os.path.exists(plain) or (os.path.exists(current) and same(current, plain)):
        return []
    Path(NOW.name).touch()
    return [NOW.name]


def same(one, other):
    if not os.path.isdir(one):
        return filecmp.cmp(one, other)
    found = filecmp.dircmp(one, other, ignore=[".snakemake_timestamp"])
    alike = not (found.left_only or found.right_only or found.diff_files or found.funny_files)
    return alike and all(same(folder.left, folder.right) for folder in found.subdirs.values())


def beside(wildcards):
    table = Path(planned_tables[wildcards.table].path)
    names = {"long": "long.csv", "markdown": "table.md", "latex": "table.tex"}
    found = {"table": table} | {key: table.with_name(name) for key, name in names.items()}
    return found | {"outdated": outdated(table, f"{RESULTS}/{wildcards.table}.csv")}


rule publish_table:
    input:
        unpack(beside),
    output:
        table=report(
            f"{RESULTS}/{{table}}.csv", "captions/table.rst", "Tables", labels={"table": "{table}", "form": "grid"}
        ),
        long=report(
            f"{RESULTS}/{{table}}.long.csv", "captions/long.rst", "Tables", labels={"table": "{table}", "form": "long"}
        ),
        markdown=f"{RESULTS}/{{table}}.md",
        latex=f"{RESULTS}/{{table}}.tex",
    wildcard_constraints:
        table="|".join(planned_tables) or "none",
    localrule: True
    params:
        title=lambda w: planned_tables[w.table].card.title,
    shell:
        "cp {input.table:q} {output.table:q} && cp {input.long:q} {output.long:q} && cp {input.markdown:q} {output.markdown:q} && cp {input.latex:q} {output.latex:q}"


rule publish_figure:
    input:
        png=lambda w: planned_figures[w.figure].path,
        pdf=lambda w: Path(planned_figures[w.figure].path).with_suffix(".pdf"),
        outdated=lambda w: outdated(planned_figures[w.figure].path, f"{RESULTS}/{w.figure}.png"),
    output:
        png=report(f"{RESULTS}/{{figure}}.png", "captions/figure.rst", "Figures", labels={"figure": "{figure}"}),
        pdf=f"{RESULTS}/{{figure}}.pdf",
    wildcard_constraints:
        figure="|".join(planned_figures) or "none",
    localrule: True
    params:
        title=lambda w: planned_figures[w.figure].card.title,
    shell:
        "cp {input.png:q} {output.png:q} && cp {input.pdf:q} {output.pdf:q}"


planned_report = plan_report(plan, planned_tables, planned_figures)


rule make_report:
    input:
        unpack(files("make_report")),
        deviations=f"{workflow.basedir}/DEVIATIONS.md",
    output:
        path("reports", "report.html"),
    log:
        log_of("make_report"),
    localrule: True
    conda:
        "../envs/report.yaml"
    threads: machine.threads
    params:
        step=command("make_report"),
    shell:
        "{params.step} --deviations {input.deviations:q} --output {output:q} 2> {log:q}"


rule publish_report:
    input:
        page=planned_report.path,
        outdated=lambda w: outdated(planned_report.path, f"{RESULTS}/report.html"),
    output:
        report(f"{RESULTS}/report.html", "captions/report.rst", "Report"),
    localrule: True
    shell:
        "cp {input.page:q} {output:q}"
