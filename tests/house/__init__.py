"""The laws of the house."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
RULES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
PRESETS = sorted(path.stem for path in (ROOT / "config" / "presets").glob("*.yaml"))


def run(*arguments: str) -> subprocess.CompletedProcess:
    """Run `python …` at the root of the repository, with the package on the path."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    line = [sys.executable, *arguments]
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
