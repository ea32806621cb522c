# What is shown is addressed by digest like everything else; here the current tables, figures, study and report get their
# plain names.


def outdated(name):
    """Nothing, where it is a copy of what is current, or not there. Else a file of this moment: as one more input it makes
    Snakemake copy again, whoever put the other copy there, and for whichever configuration."""
    plain = f"{RESULTS}/{name}"
    if not os.path.exists(plain) or current(plain, COPIES[plain]):
        return []
    Path(NOW.name).touch()
    return [NOW.name]


def beside(wildcards):
    table = Path(planned_tables[wildcards.table].path)
    names = {"long": "long.csv", "markdown": "table.md", "latex": "table.tex"}
    found = {"table": table} | {key: table.with_name(name) for key, name in names.items()}
    return found | {"outdated": outdated(f"{wildcards.table}.csv")}


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
        table="|".join(map(re.escape, planned_tables)) or "none",
    localrule: True
    params:
        title=lambda w: planned_tables[w.table].card.title,
    shell:
        "cp {input.table:q} {output.table:q} && cp {input.long:q} {output.long:q} && cp {input.markdown:q} {output.markdown:q} && cp {input.latex:q} {output.latex:q}"


rule publish_figure:
    input:
        png=lambda w: planned_figures[w.figure].path,
        pdf=lambda w: Path(planned_figures[w.figure].path).with_suffix(".pdf"),
        outdated=lambda w: outdated(f"{w.figure}.png"),
    output:
        png=report(f"{RESULTS}/{{figure}}.png", "captions/figure.rst", "Figures", labels={"figure": "{figure}"}),
        pdf=f"{RESULTS}/{{figure}}.pdf",
    wildcard_constraints:
        figure="|".join(map(re.escape, planned_figures)) or "none",
    localrule: True
    params:
        title=lambda w: planned_figures[w.figure].card.title,
    shell:
        "cp {input.png:q} {output.png:q} && cp {input.pdf:q} {output.pdf:q}"


rule publish_study:
    input:
        page=COPIES.get(f"{RESULTS}/study", []),  # none without a study
        outdated=lambda w: outdated("study"),
    output:
        directory(f"{RESULTS}/study"),
    localrule: True
    shell:
        "cp -r {input.page:q} {output:q}"


rule publish_report:
    input:
        page=COPIES[f"{RESULTS}/report.html"],
        outdated=lambda w: outdated("report.html"),
    output:
        report(f"{RESULTS}/report.html", "captions/report.rst", "Report"),
    localrule: True
    shell:
        "cp {input.page:q} {output:q}"
