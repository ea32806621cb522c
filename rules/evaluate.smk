# From pictures to numbers.


rule extract_features:
    input:
        unpack(files("extract_features")),
    output:
        path("features", "features.safetensors"),
    log:
        log_of("extract_features"),
    benchmark:
        benchmark_of("extract_features")
    conda:
        "../envs/gpu.yaml"
    threads: machine.threads
    resources:
        gpu=min(GPUS, 1),
    params:
        step=command("extract_features"),
    shell:
        "{params.step} --sample-batch {machine.sample_batch} --output {output:q} 2> {log:q}"


rule score:
    input:
        unpack(files("score")),
    output:
        path("scores", "score.json"),
    log:
        log_of("score"),
    benchmark:
        benchmark_of("score")
    conda:
        "../envs/report.yaml"
    threads: machine.threads
    params:
        step=command("score"),
    shell:
        "{params.step} --output {output:q} 2> {log:q}"


rule check_metric:
    input:
        unpack(files("check_metric")),
    output:
        table=path("tables", "table.csv"),
        long=path("tables", "long.csv"),
        markdown=path("tables", "table.md"),
        latex=path("tables", "table.tex"),
    log:
        log_of("check_metric"),
    benchmark:
        benchmark_of("check_metric")
    wildcard_constraints:
        name="metric_check",
    conda:
        "../envs/gpu.yaml"
    threads: machine.threads
    resources:
        gpu=min(GPUS, 1),
    params:
        step=command("check_metric"),
    shell:
        "{params.step} --sample-batch {machine.sample_batch} --output {output.table:q} 2> {log:q}"


rule measure_alignment:
    input:
        unpack(files("measure_alignment")),
    output:
        path("alignment", "score.json"),
    log:
        log_of("measure_alignment"),
    benchmark:
        benchmark_of("measure_alignment")
    conda:
        "../envs/gpu.yaml"
    threads: machine.threads
    resources:
        gpu=min(GPUS, 1),
    params:
        step=command("measure_alignment"),
    shell:
        "{params.step} --sample-batch {machine.sample_batch} --output {output:q} 2> {log:q}"


rule compare_scores:
    input:
        unpack(files("compare_scores")),
    output:
        path("claims", "claims.json"),
    log:
        log_of("compare_scores"),
    localrule: True
    conda:
        "../envs/report.yaml"
    threads: machine.threads
    params:
        step=command("compare_scores"),
    shell:
        "{params.step} --output {output:q} 2> {log:q}"
