"""Every command that a page, a comment or a help text shows is one that its own program takes, with names that exist.

None of them does its work here. make and Snakemake's and piti's own parsers read them; then the configuration that they
ask for is loaded, and every table, figure, task, method and file that they name is looked up in it.
"""

import contextlib
import importlib.util
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from unittest.mock import patch

import pytest
import yaml as pyyaml
from snakemake.cli import parse_args

from piti import __main__ as piti
from piti.config import load, merge
from piti.evaluate.measures import MEASURES
from piti.plan import resolve
from piti.plan.cost import CPU
from piti.plan.gpu import GPUS
from piti.store.files import InputError
from tests.flow import test_as_typed
from tests.house import ROOT, RULES
from tests.house.pages import COMMENTED, PAGES, Command, commented, helped, mentioned, read, shown, yaml

COMMANDS = [command for page in PAGES for command in (*shown(page), *mentioned(page))]
COMMANDS += [command for file in COMMENTED for command in commented(file)]
COMMANDS += [command for module in sorted((ROOT / "src/piti/cli").glob("*.py")) for command in helped(module)]

# What is not ours to parse, and why that is enough.
ELSEWHERE = {
    ".": "sets the shell up",
    "pip": "installs from the network; the files that it names are there",
    "squeue": "SLURM's",
    "tail": "follows a log of a cluster",
    "ls": "lists logs of a cluster",
    "git": "clones from the network",
    "mkdir": "makes a folder",
    "tar": "unpacks; the archive that it names is there",
}
OPEN = re.compile(r"[A-Z_]+|.*[<…*].*|/.*")  # a name that the reader fills in, or a path of theirs


@cache
def planned(settings: tuple[str, ...], shown: tuple[str, ...]):
    """The configuration of these settings and blocks of YAML; its tables and figures; those that would be empty."""
    user: dict = {}
    for text in shown:
        user = merge(user, pyyaml.safe_load(text))
    user |= {} if not settings else merge(user, dict(setting.split("=", 1) for setting in settings))
    config = load(user, ROOT / "config")
    _, tables, figures = resolve(config)
    empty = {name for name, table in tables.items() if not (any(table.inputs.values()) or config.missing == "blank")}
    return config, {*tables, *figures}, empty


def check_make(command: Command) -> None:
    """The target exists, the variables are read, and what make would run is right too."""
    asked = subprocess.run(["make", "-n", *command.words[1:]], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert asked.returncode == 0, asked.stderr
    said = (ROOT / "Makefile").read_text()
    for name in (word.partition("=")[0] for word in command.words if "=" in word):
        assert f"$({name})" in said, name
    run = re.sub(r"\.venv/bin/(?:python -m (?=piti ))?", "", asked.stdout)
    for one in read(ROOT / "Makefile", re.findall(r"^(?:piti|snakemake) .*$", run, re.M)):
        CHECKS[one.words[0]](one)


def check_piti(command: Command) -> None:
    """Its options are known, and so is every name that it gives."""
    asked, modules = [], [module for name, module in vars(piti).items() if hasattr(module, "add_arguments")]
    with contextlib.ExitStack() as patched:
        for module in modules:
            patched.enter_context(patch.object(module, "run", lambda arguments, config: asked.append(arguments)))
        patched.enter_context(patch.object(piti, "configuration", lambda *given: None))
        patched.enter_context(patch.object(sys, "argv", list(command.words)))
        try:
            piti.main()
        except SystemExit as end:
            assert not end.code, "its parser refuses it"
            return  # --help
    (given,) = asked
    config, targets, _ = planned(tuple(given.config), files(command, [given.configfile] if given.configfile else []))
    measures = {*config.extractors, *MEASURES}
    known = {"task": config.tasks, "method": config.methods, "metric": measures, "gpu": {*GPUS, CPU}}
    for key, names in (known | {"target": targets, "table": targets}).items():
        if (name := getattr(given, key, None)) and not OPEN.fullmatch(name):
            assert name in names, f"no {key} is called {name}"
    if row := getattr(given, "row", None):
        entry = config.tables[given.table]
        among = entry.rows if hasattr(given, "column") else entry.rows | entry.columns  # compare takes either
        labels = {config.methods[one.method].label for one in among.values() if one.method}
        assert row in {*among, *labels}, f"{given.table} has no row {row}"


def check_snakemake(command: Command) -> None:
    """Its options are known, its targets are made, its profile and its settings are there."""
    with contextlib.chdir(ROOT), contextlib.redirect_stderr(None):
        try:
            _, asked = parse_args(list(command.words[1:]))
        except SystemExit as end:
            assert not end.code, "Snakemake's parser refuses it"
            return  # --help
    config, targets, empty = planned(tuple(asked.config or ()), files(command, asked.configfile or []))
    rules = {name for file in RULES for name in re.findall(r"^rule (\w+):", file.read_text(), re.M)}
    made = {f"{config.results}/{name}" for target in targets for name in (f"{target}.csv", f"{target}.png")}
    for target in {*(asked.targets or ())} - {*rules, *targets, *made, f"{config.results}/report.html"}:
        assert OPEN.fullmatch(target), f"no target is called {target}"
    for target in asked.targets or ():
        assert Path(target).stem not in empty, f"{target} has no cell that this configuration runs"


def check_python(command: Command) -> None:
    """The module is there, and of its own words it knows each."""
    module = command.words[command.words.index("-m") + 1]
    if OPEN.fullmatch(module):
        return
    assert importlib.util.find_spec(module), f"no module {module}"
    if module.split(".")[0] in ("piti", "docs", "tests", "bench"):
        said = Path(importlib.util.find_spec(module).origin).read_text()
        rest = [word for word in command.words[3:] if re.fullmatch(r"(--)?[a-z-]+", word)]
        assert all(f'"{word}"' in said for word in rest), f"{module} does not know one of {rest}"


CHECKS = {"make": check_make, "piti": check_piti, "snakemake": check_snakemake, "python": check_python}


def files(command: Command, named: list) -> tuple[str, ...]:
    """The YAML that a command reads: what its page shows, and the config files that it names."""
    page = yaml(command.place) if command.place.endswith(".md") else []
    return (*page, *((ROOT / name).read_text() for name in named if (ROOT / name).exists()))


def check(command: Command) -> None:
    program = command.words[0]
    assert program in CHECKS or program in ELSEWHERE, f"{program}: nobody says how this is tested"
    for word in command.words[1:]:
        if re.match(r"(envs|docs|tests|rules)/", word):
            assert (ROOT / word).exists(), f"no file {word}"
    CHECKS.get(program, lambda _: None)(command)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.place}: {command.text[:60]}")
def test_a_command_that_is_shown_works(command):
    check(command)


def test_what_is_typed_is_shown_and_every_command_of_readme_is_typed_or_takes_too_long():
    """By tests/flow, which is slow; here one that is new, or no longer there, is seen at once."""
    typed = re.findall(r'the\("([^"]+)"\)', Path(test_as_typed.__file__).read_text())
    left = [command for command in test_as_typed.COMMANDS if command not in test_as_typed.TOO_LONG]
    assert left
    assert [command for command in left if not any(command.startswith(start) for start in typed)] == []
    for page, command, *_ in test_as_typed.OF_DOCS:
        assert command in [each.text for each in shown(ROOT / f"docs/{page}.md")]


@pytest.mark.parametrize(
    "text",
    [
        "make reprduce",
        "make plan TABLES=table1",
        "make plan TABLE=table9",
        "piti statsu",
        "piti plan --gpus H100",
        "piti plan --gpu H1000",
        "piti plan table9",
        "piti plan --config preset=smok",
        "piti check --config 'datasets={flickr: {pth: /data}}'",
        "piti score --pictures p --task ade20k",
        "piti translate --method mine --task coco_mask --condition a --out b",
        "piti explain table1 Theirs",
        "snakemake tables1",
        "snakemake results/table9.csv",
        "snakemake results/table1.csv --config preset=smoke",
        "snakemake table3b --config preset=smoke only='{ade20k_mask: [], coco_mask: []}'",
        "snakemake all --prophile slurm",
        "snakemake all --profile slrm",
        "snakemake all --config presett=smoke",
        "python -m piti.cuont",
        "python -m docs.prior word WEIGHTS",
        "pip install -r envs/dmo.txt",
        "pixi run all",
    ],
)
def test_a_command_that_does_not_work_is_seen(text, capfd):
    (command,) = read(ROOT / "README.md", [text])
    with pytest.raises((AssertionError, InputError, SystemExit)):
        check(command)
