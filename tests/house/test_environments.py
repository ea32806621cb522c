"""The conda environments of the rules: pinned like the tested one, and enough for what their steps import."""

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from piti.plan.steps import STEPS
from piti.store import provenance
from tests.house import ROOT

REQUIREMENTS = {line for line in (ROOT / "envs/requirements.txt").read_text().splitlines() if "==" in line}


# What a condition does with tensors imports torch where it does it: who has tensors has torch.
ON_TENSORS = {"piti.conditions.semantics"}


def pins(name: str) -> set[str]:
    """The lines of an environment that pip installs, but for this checkout itself."""
    *_, pip = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text())["dependencies"]
    return {*pip["pip"]} - {"-e .."}


def imported(step: str) -> set[str]:
    """The distributions that a step and all it imports from this package need."""
    closure, todo = set(), [f"piti.steps.{step}"]
    while todo:
        if (name := todo.pop()) not in closure and (file := provenance._file(name)):
            closure.add(name)
            found = provenance._imports(name, list(provenance._statements(file.read_text())))
            todo += (one for one in found if one.split(".")[0] == "piti" and one not in ON_TENSORS)
    names = set()
    for module in closure:
        of_tensors = {"torch"} if module.startswith("piti.conditions.") else set()
        for node in ast.walk(ast.parse(provenance._file(module).read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names} - of_tensors
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names |= {node.module.split(".")[0]} - of_tensors
    distributions = packages_distributions()
    return {distributions[name][0].lower() for name in names - sys.stdlib_module_names - {"piti"}}


@pytest.mark.parametrize("name", ["workflow", "gpu", "report"])
def test_pins_are_those_of_the_tested_environment(name):
    assert pins(name) and pins(name) <= REQUIREMENTS


@pytest.mark.parametrize("step", sorted(STEPS))
def test_a_step_finds_what_it_imports(step):
    there = {pin.split("==")[0].lower() for pin in pins(STEPS[step].environment)} | {"markupsafe"}  # comes with Jinja2
    assert imported(step) <= there


def test_conda_is_asked_for_both_environments(tmp_path):
    """A plan with --sdm conda; the conda here only says that it is one."""
    conda = tmp_path / "conda"
    answers = {
        "info": '{"conda_version": "25.7.0", "platform": "linux-64", "conda_prefix": "/conda"}',
        "--version": "conda 25.7.0",
    }
    answers["config"] = '{"get": {"channel_priority": "strict"}}'
    cases = "\n".join(f"{key}) echo '{answer}';;" for key, answer in answers.items())
    conda.write_text(f'#!/bin/sh\ncase "$1" in\n{cases}\nesac\n')
    conda.chmod(0o755)
    command = [sys.executable, "-m", "snakemake", "-n", "-F", "table1", "--sdm", "conda", "--config", "preset=smoke"]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    asked = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert asked.returncode == 0, asked.stdout + asked.stderr
    made = set(re.findall(r"Conda environment (\S+) will be created", asked.stdout + asked.stderr))
    assert {Path(name).name for name in made} == {"gpu.yaml", "report.yaml"}


def test_the_image_copies_what_is_there_and_has_a_python_we_test():
    recipe = (ROOT / "envs/Containerfile").read_text()
    for line in re.findall(r"^COPY (.+) \S+$", recipe, re.M):
        assert all((ROOT / name).exists() for name in line.split()), line
    assert "python:3.11-slim" in recipe
