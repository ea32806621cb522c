# What is shown is addressed by digest like everything else; here the current tables, figures, study and report get their
# plain names.


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


# The page alone is published: the key stays where it was made.
PAGE = Path(planned_tables["table2"].inputs["study"][0]).with_name("page")


rule publish_study:
    input:
        page=PAGE,
        outdated=lambda w: outdated(PAGE, f"{RESULTS}/study"),
    output:
        directory(f"{RESULTS}/study"),
    localrule: True
    shell:
        "cp -r {input.page:q} {output:q}"


planned_report = plan_report(plan, planned_tables, planned_figures)


rule publish_report:
    input:
        page=planned_report.path,
        outdated=lambda w: outdated(planned_report.path, f"{RESULTS}/report.html"),
    output:
        report(f"{RESULTS}/report.html", "captions/report.rst", "Report"),
    localrule: True
    shell:
        "cp {input.page:q} {output:q}"
