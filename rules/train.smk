# One rule for every trained model: stages, ablations and upsamplers are rows of config/models.yaml.


def launch(wildcards, resources):
    """In front of a training: starts its processes, and lets its SLURM job go on after its time (piti.launch)."""
    asked = {"gpus": gpus(resources) or 0, "nodes": resources.get("nodes", 1), "runtime": resources.get("runtime", 0)}
    asked |= {"batch": artefact("train", wildcards).card.training.batch}
    asked |= {"margin": machine.margin, "requeue": int(machine.requeue)}
    return " ".join(["python -m piti.launch", *(f"--{key} {value}" for key, value in asked.items())])


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
    priority: urgency("train")
    conda:
        "../envs/gpu.yaml"
    threads: machine.threads
    resources:
        gpu=GPUS,
    params:
        launch=launch,
        step=command("train"),
        compile=int(machine.compile),
    shell:
        "{params.launch} {params.step} --micro-batch {machine.micro_batch} --workers {machine.workers} --compile {params.compile} --log-every {machine.log_every} --save-every {machine.save_every} --keep-every {machine.keep_every} --output {output.weights:q} 2> {log:q}"
