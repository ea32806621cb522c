"""A real SLURM on this one machine: munge, controller and a slurmd for each of a few pretended nodes, on loopback.

Everything lives in one folder, but for the link /etc/slurm/slurm.conf, and all of it goes when the block ends.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

CONF = Path("/etc/slurm/slurm.conf")
PORT = 16817  # of the controller; the nodes take the next ones
NODES = {"gpu1": 2, "spare": 1}  # node -> GPUs
# gpu: never preempted. spare: lent out, and taken back by jobs in `urgent` after a grace of some seconds.
PARTITIONS = """
PartitionName=cpu Nodes=gpu1 Default=YES MaxTime=01:00:00 PriorityTier=1 PreemptMode=OFF
PartitionName=gpu Nodes=gpu1 MaxTime=01:00:00 PriorityTier=1 PreemptMode=OFF
PartitionName=wide Nodes=gpu1,spare MaxTime=01:00:00 PriorityTier=1 PreemptMode=OFF
PartitionName=spare Nodes=spare MaxTime=01:00:00 PriorityTier=1 PreemptMode=REQUEUE GraceTime=60
PartitionName=lent Nodes=spare MaxTime=01:00:00 PriorityTier=1 PreemptMode=CANCEL GraceTime=60
PartitionName=urgent Nodes=spare MaxTime=01:00:00 PriorityTier=10 PreemptMode=OFF
"""
# Answers at once; keeps memory limits by polling; soon forgets jobs that are over; lets a requeued one wait cred_expire
# seconds.
SETTINGS = """
ClusterName=piti
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/{proctrack}
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
DefMemPerCPU=500
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill,UsePss
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=0,sched_interval=2,bf_interval=5,batch_sched_delay=0
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=10
MinJobAge=2
InactiveLimit=0
AccountingStorageType={accounting}
AccountingStorageHost=127.0.0.1
AccountingStoragePort={database}
AccountingStoragePass={folder}/munge.socket
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.log
"""
# The accounting database's daemon, over a MariaDB of its own in the same folder.
DATABASE = """
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={database}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StorageType=accounting_storage/mysql
StorageUser=root
PidFile={folder}/slurmdbd.pid
LogFile={folder}/slurmdbd.log
"""

# Starts the slurmd of a node that shares only these folders with the rest: its /tmp is its own.
APART = """
set -e
mount -t tmpfs aside /mnt
for shared; do mkdir -p "/mnt$shared"; mount --bind "$shared" "/mnt$shared"; done
mount -t tmpfs own /tmp
for shared; do mkdir -p "$shared"; mount --bind "/mnt$shared" "$shared"; done
exec slurmd -f "$1/slurm.conf" -N spare
"""


def missing() -> str | None:
    """Why no cluster can be brought up here, if none can."""
    if os.getuid():
        return "a cluster needs root"
    tools = ("munged", "mungekey", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue")
    if absent := [tool for tool in tools if not shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")]:
        return f"SLURM is not installed: no {', '.join(absent)}"
    if CONF.exists():
        return f"{CONF} belongs to another cluster"
    return None


def accounting() -> bool:
    """Whether a cluster can have an accounting database here."""
    return all(shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin") for tool in ("slurmdbd", "mariadbd"))


def proctrack() -> str:
    """How production clusters track processes, where this machine can too: with it, SIGTERM reaches few of them."""
    return "cgroup" if os.access("/sys/fs/cgroup/freezer/cgroup.procs", os.W_OK) else "linuxproc"


@contextlib.contextmanager
def cluster(*shared: Path, accounting: bool = False) -> Iterator[Path]:
    """A cluster with the nodes and partitions above, as long as the block lasts; the folder of its logs. Jobs find what
    they need in the shared folders, and the Python of this process."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # munge wants one whose parents anyone may enter
    try:
        _configure(folder, accounting)
        munge = [f"--key-file={folder}/munge.key", f"--socket={folder}/munge.socket", f"--pid-file={folder}/munged.pid"]
        munge += [f"--log-file={folder}/munged.log", f"--seed-file={folder}/munge.seed"]
        _run("mungekey", "--create", f"--keyfile={folder}/munge.key")
        _run("munged", *munge)
        if accounting:
            _start_database(folder)
        start_controller(folder)
        _run("slurmd", "-f", str(folder / "slurm.conf"), "-N", "gpu1")
        _run("unshare", "--mount", "sh", "-c", APART, "sh", str(folder), sys.prefix, *map(str, shared))
        _until(lambda: _run("sinfo", "-h", "-N", "-o", "%t").split().count("idle") >= len(NODES), 60)
        if accounting:
            _run("sacctmgr", "--immediate", "add", "account", "default")
            _run("sacctmgr", "--immediate", "add", "user", "root", "account=default")
        yield folder
    finally:
        _take_down(folder)
        shutil.rmtree(folder)


def start_controller(folder: Path) -> None:
    _run("slurmctld", "-f", str(folder / "slurm.conf"))


def stop_controller(folder: Path) -> None:
    """It goes; jobs and nodes stay."""
    _end(folder / "slurmctld.pid")


def _start_database(folder: Path) -> None:
    """MariaDB, to be reached by a file alone, and slurmdbd."""
    own = ("--no-defaults", "--user=root", f"--datadir={folder}/database")
    door, pid = f"--socket={folder}/database.socket", f"--pid-file={folder}/mariadbd.pid"
    _run("mariadb-install-db", *own, "--skip-test-db")
    with open(folder / "mariadbd.log", "w") as log:
        subprocess.run(["setsid", "--fork", "mariadbd", *own, "--skip-networking", door, pid], stdout=log, stderr=log)
    _until((folder / "database.socket").exists, 60)
    environment = {"MYSQL_UNIX_PORT": f"{folder}/database.socket", "SLURM_CONF": f"{folder}/slurm.conf"}
    subprocess.run(["slurmdbd"], env=os.environ | environment, check=True, timeout=60)
    _until(lambda: not subprocess.run(["sacctmgr", "show", "cluster"], capture_output=True).returncode, 60)


def _configure(folder: Path, accounting: bool) -> None:
    folder.chmod(0o755)
    (folder / "state").mkdir()
    facts = {"folder": folder, "host": socket.gethostname(), "port": PORT, "database": PORT + 9}
    storage = "accounting_storage/slurmdbd" if accounting else "accounting_storage/none"
    settings = SETTINGS.format(**facts, proctrack=proctrack(), accounting=storage)
    (folder / "slurmdbd.conf").write_text(DATABASE.format(**facts))
    (folder / "slurmdbd.conf").chmod(0o600)
    gres = ""
    for number, (node, gpus) in enumerate(NODES.items(), 1):
        (folder / "spool" / node).mkdir(parents=True)
        settings += f"NodeName={node} NodeHostname={socket.gethostname()} NodeAddr=127.0.0.1 Port={PORT + number} "
        settings += (
            f"CPUs=8 Boards=1 SocketsPerBoard=1 CoresPerSocket=8 ThreadsPerCore=1 RealMemory=16000 Gres=gpu:{gpus}\n"
        )
        for gpu in range(gpus):
            device = folder / f"{node}-{gpu}"  # SLURM tells devices apart by their files; these are copies of /dev/null
            _run("mknod", "-m", "0666", str(device), "c", "1", "3")
            gres += f"NodeName={node} Name=gpu File={device}\n"
    (folder / "slurm.conf").write_text(settings + PARTITIONS)
    (folder / "gres.conf").write_text(gres)
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\n")
    CONF.parent.mkdir(exist_ok=True)
    CONF.symlink_to(folder / "slurm.conf")


def _take_down(folder: Path) -> None:
    """End the jobs, then the daemons that wrote their ids here, then the link: a configuration whose controller is gone
    makes every start of Snakemake slow."""
    if (folder / "slurmctld.pid").exists():
        with contextlib.suppress(subprocess.SubprocessError):
            _run("scancel", "--full", "--user=root")
            _until(lambda: not _run("squeue", "-h"), 30)
    for name in (*(f"slurmd-{node}" for node in NODES), "slurmctld", "slurmdbd", "mariadbd", "munged"):
        with contextlib.suppress(OSError, ValueError):
            _end(folder / f"{name}.pid")
    if CONF.is_symlink() and CONF.readlink() == folder / "slurm.conf":
        CONF.unlink()


def _end(daemon: Path) -> None:
    """End a daemon by the file that holds its id, and wait until it is gone."""
    pid = int(daemon.read_text())
    os.kill(pid, 15)
    _until(lambda: not Path(f"/proc/{pid}").exists(), 20)


def _run(*command: str) -> str:
    """What a command prints; an error with what it said where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise subprocess.SubprocessError(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout


def _until(true, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise subprocess.SubprocessError(f"the cluster did not get there in {seconds} s")
        time.sleep(0.3)
