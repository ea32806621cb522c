"""Making what a command needs and what is not there yet, by the steps that Snakemake would run."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from piti.cli.drift import refuse_drifted
from piti.config import Config
from piti.plan import Artefact, Plan
from piti.store.files import InputError, failure

QUICK = ("download", "convert_weights", "pack", "gather_pictures", "extract_features", "score", "measure_alignment")

SLOW = ("download", "extract_features", "measure_alignment")  # minutes

asked: list[str] = []  # --configfile and --config as this command was given them (piti.__main__)


def hint(target: str, config: Config) -> str:
    """The command by which Snakemake makes it, of the same configuration."""
    return f"try: {shlex.join(['snakemake', target, *settings(config)])}"


def settings(config: Config) -> list[str]:
    """The options by which another command has the same configuration."""
    return asked or ["--config", f"preset={config.preset}"]


def make(plan: Plan, wanted: Artefact, steps: Sequence[str] = QUICK) -> Path:
    """The artefact's file, made first, with all that it is made from, where it is not there.

    Raises InputError for what failed, for what was made from files that have changed since, and for what other than
    these steps would make: it takes a workflow.
    """
    refuse_drifted(plan, wanted)
    return _made(plan, wanted, steps)


def _made(plan: Plan, wanted: Artefact, steps: Sequence[str]) -> Path:
    path = Path(wanted.path)
    if path.exists():
        if path.is_file() and (reason := failure(path)):
            raise InputError(f"{path}: failed: {reason}")
        return path
    if wanted.step not in steps or "archives" in wanted.inputs:
        raise InputError(f"{path}: not there yet; {hint(wanted.path, plan.config)}")
    for below in (path for paths in wanted.inputs.values() for path in paths):
        _made(plan, plan.by_path[below], steps)
    line = [sys.executable, *wanted.command({"plugins": plan.config.plugins}), "--output", wanted.path]
    if wanted.step in SLOW:
        print(f"{wanted.step} {wanted.name} …", file=sys.stderr)
    done = subprocess.run(line, stderr=subprocess.PIPE)
    said = [text for text in done.stderr.decode(errors="replace").split("\n") if text]
    if done.returncode:
        print("".join(f"{text}\n" for text in said[:-1]), end="", file=sys.stderr)
        raise InputError(said[-1].removeprefix("error: ") if said else f"{path}: {wanted.step}: ended without a word")
    return path
