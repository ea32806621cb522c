# Photographs and conditions: downloaded or drawn, then packed.


rule download:
    output:
        f"{DOWNLOADS}/{{name}}/{{digest}}/{{file}}",
    log:
        f"{RESULTS}/logs/download/{{name}}/{{digest}}/{{file}}.log",
    wildcard_constraints:
        file="[^/]+",
    priority: urgency("download")
    localrule: True
    conda:
        "../envs/report.yaml"
    params:
        step=command("download"),
    shell:
        "{params.step} --output {output:q} 2> {log:q}"


rule extract:
    input:
        unpack(files("extract")),
    output:
        temp(directory(path("data", "extracted"))),
    log:
        log_of("extract"),
    benchmark:
        benchmark_of("extract")
    priority: urgency("extract")
    conda:
        "../envs/report.yaml"
    threads: machine.threads
    params:
        step=command("extract"),
    shell:
        "{params.step} --output {output:q} 2> {log:q}"


rule draw_scenes:
    input:
        unpack(files("draw_scenes")),
    output:
        directory(path("data", "drawn")),
    log:
        log_of("draw_scenes"),
    benchmark:
        benchmark_of("draw_scenes")
    priority: urgency("draw_scenes")
    conda:
        "../envs/report.yaml"
    threads: machine.threads
    params:
        step=command("draw_scenes"),
    shell:
        "{params.step} --output {output:q} 2> {log:q}"


rule pack:
    input:
        unpack(files("pack")),
    output:
        path("shards", "index.json"),
    log:
        log_of("pack"),
    benchmark:
        benchmark_of("pack")
    priority: urgency("pack")
    conda:
        "../envs/report.yaml"
    threads: machine.threads
    params:
        step=command("pack"),
    shell:
        "{params.step} --output {output:q} 2> {log:q}"


rule draw_sketches:
    input:
        unpack(files("draw_sketches")),
    output:
        path("sketches", "index.json"),
    log:
        log_of("draw_sketches"),
    benchmark:
        benchmark_of("draw_sketches")
    priority: urgency("draw_sketches")
    conda:
        "../envs/gpu.yaml"
    threads: machine.threads
    resources:
        gpu=min(GPUS, 1),
    params:
        step=command("draw_sketches"),
    shell:
        "{params.step} --sample-batch {machine.sample_batch} --output {output:q} 2> {log:q}"
