# One rule a step. Its module in src/piti/steps declares what it makes, from what, and where it runs; a job finds its
# artefact in the plan by the digest in its path.


def artefact(step, wildcards):
    try:
        planned = submitted.artefact if submitted else lambda *key: plan.artefacts.get(key)
        found = planned(step, wildcards.digest)
    except InputError as error:
        raise WorkflowError(f"submitted: {error}")
    if not found:
        raise WorkflowError(f"{step}: no artefact {wildcards.name}/{wildcards.digest} in this configuration")
    return found


def forced(found):
    """Whether somebody wants this made again: all (-F), its step or one of its files (-R), or it as a target (-f)."""
    how = workflow.dag_settings
    asked = {*how.forcerun, *(how.targets if how.forcetargets else ())}
    folder = os.path.abspath(os.path.dirname(found.path))
    return how.forceall or found.step in asked or any(os.path.dirname(os.path.abspath(one)) == folder for one in asked)


def files(step):
    """Named inputs of a step. A path holds the digest of what made it, so a newer file is no reason to make it again.

    Nor is a missing one: what is there asks for nothing that is not, and the graph ends at what exists; but for what is
    to be made again.
    """

    def inputs(wildcards):
        found = artefact(step.name, wildcards)
        done = workflow.is_main_process and Path(found.path).exists() and not forced(found)
        return {key: ancient([p for p in paths if not done or Path(p).exists()]) for key, paths in found.inputs.items()}

    return inputs


def urgency(step):
    """Priority of a step's jobs: what the longest work waits for is made first, above all the priors."""
    return lambda wildcards: costs().ahead.get(artefact(step.name, wildcards).path, 0)


def gpus(resources):
    """How many GPUs a job asks for, of each node. 0 forbids it any: `machine: {gpus: 0}`, or its own `gpu: 0`. None where
    nobody says: whatever is there, for not every GPU shows in /dev."""
    if machine.gpus == 0:
        return 0
    said = gpus_of(resources)
    return said if said or GPUS or elsewhere() else None


def command(step):
    """The command line of a step but for its output: its card, its files, and of its options what `machine` says."""

    def line(wildcards, threads, resources):
        cpus = resources.get("cpus_per_task") or threads  # of a cluster's job, or of a rule here
        found, said = artefact(step.name, wildcards), vars(machine) | {"gpus": gpus(resources), "threads": cpus}
        known = {key: said[key] for key in step.options if said.get(key) not in (None, "")}
        more = {key: [value if isinstance(value, str) else +value] for key, value in known.items()}
        before = launch(step, found.card, resources, cpus) if step.computes else []
        return shlex.join([*before, "python", *found.command({"plugins": settings.plugins} | more)])

    return line


def launch(step, card, resources, cpus):
    """In front of a step that computes: gives it its GPUs, and lets its SLURM job go on after its time (piti.run.launch).
    A training has a process for each GPU, other work has one."""
    said = {"gpus": min(gpus(resources) or 0, 1)}
    if step.name == "train":
        said = {"gpus": gpus(resources) or 0, "nodes": resources.get("nodes", 1), "batch": card.training.batch}
    said |= {"jobs-per-gpu": machine.jobs_per_gpu} if machine.jobs_per_gpu > 1 else {}
    said |= {"cpus": cpus, "runtime": resources.get("runtime", 0), "requeue": int(machine.requeue)}
    said |= {"margin": machine.margin} if "minutes" in step.options else {}
    return ["python", "-m", "piti.run.launch", *(word for key in said for word in (f"--{key}", str(said[key])))]


def made(step):
    """The files that a step makes, the main one first."""
    names = [f"{RESULTS}/{step.leg}/{{name}}/{{digest}}/{file}" for file in (step.makes, *step.beside)]
    found = [directory(name.rstrip("/")) if name.endswith("/") else name for name in names]
    return [temp(name) for name in found] if step.temporary else found


def elsewhere():
    """Whether jobs are submitted, or this is one that was. Snakemake has threads wait for those, in a dry run too; without
    execution settings it runs nothing (`--summary`)."""
    return not workflow.is_main_process or (workflow.execution_settings is not None and workflow.use_threads)


def resources(step):
    """What its jobs ask for: all that `jobs` says where they are submitted; here, of the GPUs that there are, and memory."""

    def ask(key):
        def value(wildcards):
            said = asked(settings.jobs, step.name, wildcards.name)
            if not elsewhere() and key == "gpu":
                return min(gpus_of(said) or 0, GPUS)
            return said.get(key) if elsewhere() or key == "mem_mb" else None

        return value

    if step.name in LOCAL:
        return {}
    said = {key for row in ("", *settings.jobs.models) for key in asked(settings.jobs, step.name, row)}
    return {key: ask(key) for key in said | ({"gpu"} if step.computes else set())}


for step in STEPS.values():
    if step.name == "download":  # below
        continue

    rule:
        name:
            step.name
        input:
            unpack(files(step)),
        output:
            made(step),
        log:
            f"{RESULTS}/logs/{step.name}/{{name}}/{{digest}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/{step.name}/{{name}}/{{digest}}.jsonl"
        priority: urgency(step)
        localrule: step.name in LOCAL
        conda:
            f"../envs/{step.environment}.yaml"
        threads: machine.threads
        resources:
            **resources(step),
        params:
            step=command(step),
        shell:
            "{params.step} --output {output[0]:q} 2> {log:q}"


rule download:
    output:
        f"{DOWNLOADS}/{{name}}/{{digest}}/{{file}}",
    log:
        f"{RESULTS}/logs/download/{{name}}/{{digest}}/{{file}}.log",
    priority: urgency(STEPS["download"])
    localrule: True
    conda:
        "../envs/report.yaml"
    params:
        step=command(STEPS["download"]),
    shell:
        "{params.step} --output {output:q} 2> {log:q}"


for step in STEPS.values():  # for `snakemake --list-rules`
    workflow.get_rule(step.name).docstring = step.doc
