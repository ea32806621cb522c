# The user study: a page that asks people, and the count of their votes. Table 2 is published like every other table.


rule make_study:
    input:
        unpack(files("make_study")),
    output:
        key=path("studies", "key.json"),
        page=directory(path("studies", "page")),
    log:
        log_of("make_study"),
    localrule: True
    conda:
        "../envs/report.yaml"
    params:
        step=command("make_study"),
    shell:
        "{params.step} --output {output.key:q} 2> {log:q}"


rule tally_study:
    input:
        unpack(files("tally_study")),
    output:
        table=path("tables", "table.csv"),
        long=path("tables", "long.csv"),
        markdown=path("tables", "table.md"),
        latex=path("tables", "table.tex"),
    log:
        log_of("tally_study"),
    wildcard_constraints:
        name="table2",
    localrule: True
    conda:
        "../envs/report.yaml"
    params:
        step=command("tally_study"),
    shell:
        "{params.step} --output {output.table:q} 2> {log:q}"


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
