# One rule for every trained model: stages, ablations and upsamplers are rows of config/models.yaml.


rule train:
    input:
        unpack(files("train")),
    output:
        weights=path("models", "weights.safetensors"),
        curve=path("models", "curve.csv"),
    log:
        log_of("train"),
    benchmark:
        benchmark_of("train")
    threads: machine.threads
    resources:
        gpu=GPUS,
    params:
        step=command("train"),
        compile=int(machine.compile),
    shell:
        "{params.step} --micro-batch {machine.micro_batch} --workers {machine.workers} --compile {params.compile} --log-every {machine.log_every} --save-every {machine.save_every} --minutes {machine.minutes} --output {output.weights} 2> {log}"
