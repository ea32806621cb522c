"""A step is declared once and is a rule of its name; the plan gives it what it asks for; its command line is light."""

import dataclasses
import json
import re
from functools import cache
from pathlib import Path

import pytest

from piti.config import Machine, load
from piti.plan import report, resolve
from piti.plan.jobs import asked
from piti.plan.steps import STEPS
from tests.house import PRESETS, ROOT, RULES, run

HEAVY = {"torch", "torchvision", "timm", "open_clip", "numpy", "scipy", "cv2", "h5py", "matplotlib", "pandas", "PIL"}


@cache
def rules() -> dict[str, dict]:
    """Every rule as Snakemake has it."""
    asked = run("-m", "tests.house.rules")
    assert asked.returncode == 0, asked.stderr
    return json.loads(asked.stdout)


def test_every_step_is_a_rule_of_its_name_and_every_module_a_step():
    assert {name for name, rule in rules().items() if "{params.step}" in (rule["shell"] or "")} == STEPS.keys()
    assert STEPS.keys() == {path.stem for path in (ROOT / "src/piti/steps").glob("[!_]*.py")}


@pytest.mark.parametrize("name", STEPS)
def test_a_rule_is_what_its_step_declares(name):
    step, rule = STEPS[name], rules()[name]
    assert rule["doc"] == step.doc
    assert rule["local"] == step.local
    assert Path(rule["conda"]).stem == step.environment
    assert ("gpu" in rule["resources"]) == step.computes
    made = [file.rstrip("/") for file in (step.makes, *step.beside)]
    assert [Path(file).name for file in rule["output"]] == made
    assert [Path(file).name + "/" for file in rule["folders"]] == [
        f for f in (step.makes, *step.beside) if f[-1] == "/"
    ]
    assert bool(rule["temporary"]) == step.temporary
    assert f"/logs/{name}/" in rule["log"][0] and "2> {log:q}" in rule["shell"]
    assert name == "download" or f"/benchmarks/{name}/" in rule["benchmark"]


def test_no_two_steps_make_the_same_file():
    """Else Snakemake would have two rules for one path."""
    made = [(step.leg, file) for step in STEPS.values() for file in (step.makes, *step.beside)]
    assert len(made) == len(set(made))


def test_a_submitted_job_asks_for_a_gpu_where_its_step_computes_and_nowhere_else():
    jobs = load({}, ROOT / "config").jobs
    assert {step for step in STEPS if asked(jobs, step, "").get("gpu")} == {s for s in STEPS if STEPS[s].computes}
    for name in {step for step in STEPS if not STEPS[step].local} - jobs.steps.keys():
        assert STEPS[name].computes or name == "draw_scenes", name  # small: as all by default
    assert not any(STEPS[name].local for name in jobs.steps)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_plan_gives_every_step_what_it_asks_for(preset):
    plan, *shown = resolve(load({"preset": preset, "datasets": {"flickr": {"path": "/data/x"}}}, ROOT / "config"))
    report(plan, *shown)
    for artefact in plan.artefacts.values():
        options = STEPS[artefact.step].options
        given = {key for key, paths in artefact.inputs.items() if paths} | artefact.given.keys()
        required = {key for key, option in options.items() if option.default is option.empty}
        assert required <= given <= options.keys(), artefact
        several = {key for key, paths in artefact.inputs.items() if len(paths) > 1}
        assert all("list" in str(options[key].annotation) for key in several), artefact


def test_every_number_of_a_step_is_a_key_of_machine_or_said_by_its_launcher():
    keys = {field.name for field in dataclasses.fields(Machine)} | {"minutes"}
    for step in STEPS.values():
        assert {key for key, option in step.options.items() if "Path" not in str(option.annotation)} <= keys, step.name


HELP = """
import contextlib, runpy, sys
for name in sys.argv[1:]:
    sys.argv = [name, "--help"]
    with contextlib.suppress(SystemExit):
        runpy.run_module(f"piti.steps.{name}", run_name="__main__")
    print("imported:", *sorted({module.split(".")[0] for module in sys.modules}))
"""


def test_help_is_light():
    """Hundreds of processes start in a run: what a step needs, it imports when it works. Here one asks all for help."""
    asked = run("-c", HELP, *STEPS)
    assert asked.returncode == 0, asked.stderr
    for name, (usage, imported) in zip(
        STEPS, re.findall(r"(usage: .*?)^imported: (.*?)$", asked.stdout, re.M | re.S), strict=True
    ):
        assert usage.startswith(f"usage: python -m piti.steps.{name} ")
        assert "piti" in imported.split() and not HEAVY & {*imported.split()}, name


@pytest.mark.parametrize("handler", ["onstart", "onsuccess", "onerror"])
def test_what_snakemake_does_at_an_event_stands_in_one_block(handler):
    """Of two blocks it keeps the last, without a word."""
    assert len(re.findall(rf"^{handler}:", "\n".join(path.read_text() for path in RULES), re.M)) <= 1
