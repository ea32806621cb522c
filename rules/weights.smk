# Published weights: verified at download, here converted into the form that everything reads.


rule convert_weights:
    input:
        unpack(files("convert_weights")),
    output:
        path("weights", "weights.safetensors"),
    log:
        log_of("convert_weights"),
    benchmark:
        benchmark_of("convert_weights")
    priority: urgency("convert_weights")
    conda:
        "../envs/gpu.yaml"
    threads: machine.threads
    params:
        step=command("convert_weights"),
    shell:
        "{params.step} --output {output:q} 2> {log:q}"
