"""How the processes of a step that computes are started, and how a SLURM job continues after its own end.

The command as it is, or torchrun in front of it for several GPUs; outside SLURM with GPUs, or shares of them, that no
other job of ours has (piti.run.gpus). In a SLURM job (`--runtime` is its limit) a training is one link of a chain:

1. It runs in a step of its own. SLURM's cgroup plugin gives SIGTERM (preemption, time limit, scancel) to the direct
   children of a step only, and in the job's first step that child is Snakemake.
2. It is told to save and leave before the limit comes: `--minutes`. A step without that option has no `--margin`.
3. When it has left so (exit code 75), the job asks to be queued again: same id, same memory, no retry used. Where that
   is refused or not wanted, code 75 reaches Snakemake, whose `retries` submit a new job.

Other steps leave with 75 too where somebody else is making the same, and come back in the same way.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping

from piti.run.gpus import take, visible
from piti.store.files import InputError

AGAIN = 75  # EX_TEMPFAIL: the step has saved what it has and asks to be started again
QUEUED_AGAIN = "PITI_QUEUED_AGAIN"  # tells a step that its job will be, if it leaves with that code
SAVING = 600  # s that torchrun leaves its processes to save after SIGTERM; SLURM may leave them less
UNANSWERED = ("Unable to contact", "timed out", "Zero Bytes")  # what SLURM's commands say where no controller answers
TORCHRUN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what it tells each of its processes


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m piti.run.launch", description=__doc__.split("\n")[0])
    parser.add_argument("--gpus", type=int, default=1, help="of each node, a process for each; 0: one process")
    parser.add_argument("--jobs-per-gpu", type=int, default=1, help="that share each GPU, outside SLURM")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--cpus", type=int, default=1, help="of each node, where SLURM's step around does not say it")
    parser.add_argument("--batch", type=int, default=0, help="images of a step, shared evenly; 0: does not matter")
    parser.add_argument("--runtime", type=float, default=0, help="minutes that the job may take; 0: nobody ends it")
    parser.add_argument("--margin", type=float, help="minutes before that at which it leaves; none: when it is done")
    parser.add_argument("--requeue", type=int, choices=(0, 1), default=1, help="whether the job may queue itself again")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="python -m piti.steps.… --output …")
    asked = parser.parse_args()
    job = os.environ.get("SLURM_JOB_ID") if asked.runtime else None
    nodes, gpus = sharing(asked.batch, asked.nodes, asked.gpus)
    command = processes(asked.command, nodes, gpus, job)
    if asked.runtime and asked.margin is not None:
        if (minutes := asked.runtime - asked.margin) <= 0:
            parser.error(
                f"machine.margin: found {asked.margin:g}, expected less than the job's runtime, {asked.runtime:g} min"
            )
        command += ["--minutes", f"{minutes:g}"]
    if not job:
        if gpus and (names := visible(os.environ)):
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(take(gpus, names, asked.jobs_per_gpu))
        os.execvp(command[0], command)
    signal.signal(signal.SIGTERM, lambda *_: None)  # the step decides; its own handler is not touched by this one
    environment = outside_steps(os.environ) | ({QUEUED_AGAIN: job} if asked.requeue else {})
    code = subprocess.run([*own_step(nodes, asked.cpus), *command], env=environment).returncode
    if code == AGAIN and asked.requeue:
        requeue(in_array(os.environ) or job)
    sys.exit(code)


def sharing(batch: int, nodes: int, gpus: int) -> tuple[int, int]:
    """How many of these nodes, and GPUs of each, share a batch evenly: as many as can. Fewer than asked are named."""
    asked = max(gpus, 1)
    fitting = ((n, g) for n in range(nodes, 0, -1) for g in range(asked, 0, -1) if batch % (n * g) == 0)
    n, g = max(fitting, key=lambda shape: shape[0] * shape[1])
    if (n, g) != (nodes, asked):
        print(
            f"gpus: found {nodes * asked}, expected a divisor of the batch, {batch}: {n * g} are used", file=sys.stderr
        )
    return n, min(g, gpus)


def processes_of(environment: Mapping[str, str]) -> tuple[int, int]:
    """This process's rank, and the number of processes that share the work, by torchrun's variables; (0, 1) alone.

    Raises InputError where they are no numbers, or some of them say that there are others and the rest is missing.
    """
    said = environment.get("RANK", "0"), environment.get("WORLD_SIZE", "1")
    if not all(map(str.isdecimal, said)):
        raise InputError("RANK={} WORLD_SIZE={}: expected numbers, as torchrun sets".format(*said))
    rank, world = map(int, said)
    missing = [name for name in TORCHRUN if name not in environment]
    if missing and (rank, world) != (0, 1):
        raise InputError(
            f"RANK={rank} WORLD_SIZE={world}: found no {', '.join(missing)}, expected all that torchrun sets, or none"
        )
    return rank, world


def processes(command: list[str], nodes: int, gpus: int, job: str | None) -> list[str]:
    """The command; for several GPUs, torchrun with one process a GPU. Several nodes meet at the first: this one."""
    if max(gpus, nodes) <= 1:
        return command
    meeting = ["--standalone"]
    if nodes > 1:
        port = 20000 + int(job) % 20000
        meeting = ["--rdzv-backend=c10d", f"--rdzv-endpoint={socket.gethostname()}:{port}", f"--rdzv-id={job}"]
    shape = [f"--nnodes={nodes}", f"--nproc-per-node={max(gpus, 1)}", f"--shutdown-timeout={SAVING}"]
    python, *module = command
    return [python, "-m", "piti.run.torchrun", *shape, *meeting, *module]


def own_step(nodes: int, cpus: int) -> list[str]:
    """srun, with all that the job has. A task of an array runs in no step: there nobody but the rule says the CPUs."""
    cpus = os.environ.get("SLURM_CPUS_PER_TASK", cpus)
    shape = [f"--nodes={nodes}", f"--ntasks={nodes}", f"--cpus-per-task={cpus}"]
    return ["srun", "--overlap", *shape, "--cpu-bind=quiet"]


def outside_steps(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what the step around this one says of itself: srun would take it for the job's shape."""
    kept = ("SLURM_JOB_ID", "SLURM_CONF")
    return {key: value for key, value in environment.items() if not key.startswith("SLURM_") or key in kept}


def unfiltered(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what a user has set for their own squeue (SQUEUE_PARTITION, …): it would hide jobs from us."""
    return {key: value for key, value in environment.items() if not key.startswith(("SQUEUE_", "SACCT_"))}


def in_array(environment: Mapping[str, str]) -> str:
    """What SLURM calls a task of an array alone: "12_3". The number of its last task is the whole array's."""
    parts = [environment.get(f"SLURM_ARRAY_{part}_ID") for part in ("JOB", "TASK")]
    return "_".join(parts) if all(parts) else ""


def requeue(job: str) -> None:
    """Queue this job again and wait for the end that this brings; return where SLURM refuses.

    A job that somebody cancels stays so: SLURM would take it back even then.
    """
    state = insist("squeue", "-h", "-j", job, "-o", "%T").stdout.strip()
    if state != "RUNNING":
        print(f"job {job} is {state or 'gone'} and not queued again", file=sys.stderr)
        return
    asked = insist("scontrol", "requeue", job)
    if asked.returncode:
        print(f"job {job} is not queued again: {asked.stderr.strip()}", file=sys.stderr)
        return
    print(f"job {job} is queued again and goes on from what it has saved", file=sys.stderr)
    time.sleep(600)


def insist(*command: str) -> subprocess.CompletedProcess:
    """Ask SLURM, for five minutes while its controller does not answer."""
    for pause in (15,) * 20:
        done = subprocess.run(command, capture_output=True, text=True, env=unfiltered(os.environ))
        if not done.returncode or not any(words in done.stderr for words in UNANSWERED):
            break
        time.sleep(pause)
    return done


if __name__ == "__main__":
    main()
