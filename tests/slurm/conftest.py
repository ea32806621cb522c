"""One smallest flow, twice: on this machine undisturbed, and through a real SLURM that disturbs every training.

It is the paper's own chain, prior -> stage 1 -> continuation -> stage 2 with its upsampler, beside a baseline that
diverges and a table whose extractor is not there. While it runs, `disturb` does to each training what clusters do.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from piti.config import load
from piti.plan import resolve
from tests.slurm import cluster

ROOT = Path(__file__).parents[2]
TRAINING = {"steps": 80, "batch": 4}
LONG = {"steps": 250, "batch": 4}  # longer than the 9 s that its job leaves it, its start among them
# What jobs ask for instead of what is shipped: sizes for one small machine, and who is disturbed how.
SMALL = {"mem_mb": 2000, "runtime": 10, "cpus_per_task": 2}
JOBS = {
    "default": SMALL,
    "computing": SMALL,
    "steps": {
        **dict.fromkeys(load({}, ROOT / "config").jobs.steps, SMALL),
        "train": SMALL | {"cpus_per_task": 3},
    },
    "models": {
        "prior_base": {"slurm_partition": "spare"},
        "continuation": {"slurm_partition": "lent"},
        "stage1": {"runtime": 3},
        "pix2pixhd": {"cpus_per_task": 3},
        "wide": {"slurm_partition": "wide", "gres": "gpu:1", "nodes": 2},
    },
}
CONFIG = {
    "preset": "smoke",
    "min_images": 8,
    "datasets": {
        "ade20k": {"train": 8, "test": 8},
        "web": {"scenes": {"seed": 5, "resolution": 64, "style": "near"}, "train": 8, "test": 1},
    },
    "weights": {"inception": {"path": "nowhere"}},
    "extractors": {"fid_gone": "inception"},
    "networks": {"baselines": {"pix2pixhd": {"lambda_vgg": 0.0, "lr_generator": 1.0e30}}},
    "models": {
        **dict.fromkeys(("prior_base", "prior_upsampler"), TRAINING | {"weights": ""}),
        **dict.fromkeys(("continuation", "two_stage"), TRAINING),
        "stage1": LONG,
        "upsampler": TRAINING | {"degradation": False, "perceptual": "", "adversarial": ""},
        "pix2pixhd": {"steps": 10, "batch": 4},
        "wide": TRAINING | {"kind": "base", "init": "continuation", "lr": 1.0e-3, "ema_rate": 0.9},
    },
    "methods": {"wide": {"label": "Wide", "base": "wide", "upsampler": "upsampler"}},
    "sampling": {"base_respacing": "2", "upsampler_respacing": "2"},
    "tables": {
        "column": {
            "title": "One column",
            "run": {"metric": "fid_c"},
            "rows": {"ours": {"method": "ours"}, "pix2pixhd": {"method": "pix2pixhd"}},
            "columns": {"ade20k_mask": {"task": "ade20k_mask"}},
            "paper": {},
        },
        "wide": {
            "title": "Of which only the training is made, on two nodes",
            "run": {"metric": "fid_c"},
            "rows": {"wide": {"method": "wide"}},
            "columns": {"ade20k_mask": {"task": "ade20k_mask"}},
            "paper": {},
        },
        "broken": {
            "title": "An extractor whose weights are gone",
            "run": {"metric": "fid_gone"},
            "rows": {"ours": {"method": "ours"}},
            "columns": {"ade20k_mask": {"task": "ade20k_mask"}},
            "paper": {},
        },
    },
    "jobs": JOBS,
    "machine": {"save_minutes": 0, "log_every": 10, "margin": 2.85, "gpus": 0},  # the cluster's GPUs are pretended ones
}
# Over its memory at its first attempt: what only an expression says stands in a profile, which wins.
MEMORY = "200 if wildcards.name.startswith('upsampler') and attempt == 1 else 3000"


@dataclass
class Done:
    """What is left of a run."""

    folder: Path  # its results
    code: int
    printed: str
    seen: dict[str, set[tuple]]  # training -> (job, node, devices, CPUs) that its processes had
    submitted: dict[str, list[str]]  # training -> jobs


@pytest.fixture(scope="session")
def clone(tmp_path_factory) -> Path:
    """A copy of what a fresh clone has, the profile's numbers made small."""
    if why := cluster.missing():
        pytest.skip(why)
    return cloned(tmp_path_factory.mktemp("clone"))


def cloned(folder: Path) -> Path:
    for name in ("Snakefile", "DEVIATIONS.md", "rules", "config", "profiles", "envs", "src", "slurm"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() and not source.is_symlink() else shutil.copy
        copy(source, folder / name, **({"follow_symlinks": False} if source.is_symlink() else {}))
    path = folder / "config/profiles/slurm/config.yaml"
    profile = yaml.safe_load(path.read_text())
    profile["set-resources"] = {"train": {"mem_mb": MEMORY}}
    profile |= {"latency-wait": 5, "seconds-between-status-checks": 3}
    path.write_text(yaml.safe_dump(profile))
    return folder


def weights(clone: Path, settings: dict, *names: str) -> dict[str, str]:
    """Where these trainings' weights lie."""
    plan, *_ = resolve(load(settings, clone / "config"))
    return {
        name: artefact.path
        for artefact in plan.artefacts.values()
        if artefact.step == "train" and (name := artefact.name.split("-")[0]) in names
    }


@contextlib.contextmanager
def started(clone: Path, run: str, settings: dict, *arguments: str) -> Iterator[subprocess.Popen]:
    """A Snakemake in the clone, which writes what it prints to run.log there; it does not outlive the block."""
    (clone / f"{run}.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "snakemake", "--configfile", f"{run}.yaml", *arguments]
    environment = os.environ | {"PYTHONPATH": str(clone / "src")}  # for Snakemake finds its plug-ins on the path
    with open(clone / f"{run}.log", "a") as log:
        process = subprocess.Popen(command, cwd=clone, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def snakemake(clone: Path, results: str, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a run in the clone."""
    settings = CONFIG | {"results": results, "downloads": "downloads"}
    with started(clone, results, settings, "--nolock", *arguments, weights(clone, settings, "wide")["wide"]) as process:
        process.wait(1800)
    return process.returncode, (clone / f"{results}.log").read_text()


@pytest.fixture(scope="session")
def undisturbed(clone) -> Done:
    """The flow on this machine."""
    code, printed = snakemake(clone, "quiet", "--cores", "2", "--", "column")
    return Done(clone / "quiet", code, printed, {}, {})


@pytest.fixture(scope="session")
def disturbed(clone, undisturbed) -> Done:
    """The same through `snakemake --profile slurm`, on a cluster as it is; and the table that cannot be made."""
    seen, over = {}, threading.Event()
    with cluster.cluster(clone):
        watcher = threading.Thread(target=watch, args=(clone / "storm", seen, over))
        watcher.start()
        try:
            code, printed = snakemake(clone, "storm", "--profile", "slurm", "--", "column", "broken")
        finally:
            over.set()
            watcher.join()
    return Done(clone / "storm", code, printed, seen, submitted(printed))


def submitted(printed: str) -> dict[str, list[str]]:
    """Training -> the ids of its jobs, from what Snakemake prints."""
    jobs: dict[str, list[str]] = {}
    for job, log in re.findall(r"SLURM jobid (\d+) \(log: (\S+)\)", printed):
        if found := re.search(r"rule_train/([a-z0-9_]+?)(?:-\w+)?_[0-9a-f]{10}/", log):
            jobs.setdefault(found[1], []).append(job)
    return jobs


def watch(results: Path, seen: dict[str, set[tuple]], over: threading.Event) -> None:
    """Look at the trainings' processes twice a second, and disturb each as soon as it has a checkpoint."""
    todo = {
        "prior_base": preempt,  # its partition queues it again
        "continuation": preempt,  # its partition would cancel it
        "prior_upsampler": lambda job: subprocess.run(["scancel", job]),
        "wide": lambda job: subprocess.run(["scancel", "--signal=TERM", job]),
    }
    while not over.wait(0.5):
        for name, evidence in running():
            seen.setdefault(name, set()).add(evidence)
            if name in todo and list(results.glob(f"models/{name}*/checkpoint-*/checkpoint.safetensors")):
                todo.pop(name)(evidence[0])


def preempt(_: str) -> None:
    """A job that counts more takes the one GPU of the node."""
    subprocess.run(
        ["sbatch", "-p", "urgent", "--gpus=1", "--mem=100", "-t", "1", "-o", "/dev/null", "--wrap", "sleep 2"]
    )


def running() -> list[tuple[str, tuple]]:
    """Every training that runs now: its name; its job, node, GPUs and CPUs as its own process sees them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().decode().split("\0")
            if "piti.steps.train" not in words[1:4] or words[1] not in ("-m", "-u"):  # -u: torchrun's way
                continue
            environment = dict(e.split("=", 1) for e in (process / "environ").read_bytes().decode().split("\0") if e)
            keys = ("SLURM_JOB_ID", "SLURMD_NODENAME", "CUDA_VISIBLE_DEVICES", "SLURM_CPUS_PER_TASK")
            if keys[0] in environment:
                output = Path(words[words.index("--output") + 1])
                found.append((output.parts[-3].split("-")[0], tuple(environment.get(key, "") for key in keys)))
    return found
