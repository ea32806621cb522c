# From conditions to pictures: the base model, then the upsampler.


rule sample:
    input:
        unpack(files("sample")),
    output:
        path("sampled", "index.json"),
    log:
        log_of("sample"),
    benchmark:
        benchmark_of("sample")
    priority: urgency("sample")
    conda:
        "../envs/gpu.yaml"
    threads: machine.threads
    resources:
        gpu=min(GPUS, 1),
    params:
        step=command("sample"),
    shell:
        "{params.step} --sample-batch {machine.sample_batch} --output {output:q} 2> {log:q}"


rule upsample:
    input:
        unpack(files("upsample")),
    output:
        path("upsampled", "index.json"),
    log:
        log_of("upsample"),
    benchmark:
        benchmark_of("upsample")
    priority: urgency("upsample")
    conda:
        "../envs/gpu.yaml"
    threads: machine.threads
    resources:
        gpu=min(GPUS, 1),
    params:
        step=command("upsample"),
    shell:
        "{params.step} --sample-batch {machine.sample_batch} --output {output:q} 2> {log:q}"


rule draw_variants:
    input:
        unpack(files("draw_variants")),
    output:
        path("variants", "index.json"),
    log:
        log_of("draw_variants"),
    benchmark:
        benchmark_of("draw_variants")
    priority: urgency("draw_variants")
    conda:
        "../envs/gpu.yaml"
    threads: machine.threads
    resources:
        gpu=min(GPUS, 1),
    params:
        step=command("draw_variants"),
    shell:
        "{params.step} --sample-batch {machine.sample_batch} --output {output:q} 2> {log:q}"


rule edit_samples:
    input:
        unpack(files("edit_samples")),
    output:
        path("edited", "index.json"),
    log:
        log_of("edit_samples"),
    benchmark:
        benchmark_of("edit_samples")
    priority: urgency("edit_samples")
    conda:
        "../envs/gpu.yaml"
    threads: machine.threads
    resources:
        gpu=min(GPUS, 1),
    params:
        step=command("edit_samples"),
    shell:
        "{params.step} --output {output:q} 2> {log:q}"


rule generate:
    input:
        unpack(files("generate")),
    output:
        path("generated", "index.json"),
    log:
        log_of("generate"),
    benchmark:
        benchmark_of("generate")
    priority: urgency("generate")
    conda:
        "../envs/gpu.yaml"
    threads: machine.threads
    resources:
        gpu=min(GPUS, 1),
    params:
        step=command("generate"),
    shell:
        "{params.step} --sample-batch {machine.sample_batch} --output {output:q} 2> {log:q}"


rule gather_pictures:
    input:
        unpack(files("gather_pictures")),
    output:
        path("gathered", "index.json"),
    log:
        log_of("gather_pictures"),
    localrule: True
    conda:
        "../envs/report.yaml"
    threads: machine.threads
    params:
        step=command("gather_pictures"),
    shell:
        "{params.step} --output {output:q} 2> {log:q}"
