"""Rule, step module, log and benchmark share one name; a step's command line is light."""

import re

import pytest
import yaml

from tests.house import ROOT, RULES, run

STEPS = sorted(path.stem for path in (ROOT / "src" / "piti" / "steps").glob("[!_]*.py"))
HEAVY = {"torch", "torchvision", "timm", "open_clip", "numpy", "scipy", "cv2", "h5py", "matplotlib", "pandas", "PIL"}
TEXT = "\n".join(path.read_text() for path in RULES)
# name -> text of each rule; a rule ends where a line starts at the margin again
BLOCKS = dict(re.findall(r"^rule (\w+):\n((?:[ \t].*\n|\n)+)", TEXT + "\n", re.M))
STEP_RULES = {name: block for name, block in BLOCKS.items() if "command(" in block or "piti.steps" in block}


def test_every_step_has_its_rule_and_every_rule_its_step():
    assert sorted(STEP_RULES) == STEPS


@pytest.mark.parametrize("rule", STEPS)
def test_a_rule_says_one_name_everywhere(rule):
    block = STEP_RULES[rule]
    named = re.findall(r'\b(?:command|files|log_of|benchmark_of|artefact|urgency)\(\s*"(\w+)"', block)
    named += re.findall(r"RESULTS\}/(?:logs|benchmarks)/(\w+)/", block)
    assert set(named) == {rule}
    assert "\n    log:\n" in block
    assert "2> {log:q}" in block


@pytest.mark.parametrize("profile", ["slurm", "examples/sacct"])
def test_a_cluster_profile_asks_for_every_gpu_that_a_rule_wants_and_for_no_other_rule(profile):
    settings = yaml.safe_load((ROOT / "config/profiles" / profile / "config.yaml").read_text())
    asked = settings["set-resources"]
    assert asked.keys() <= BLOCKS.keys()
    with_gpu = {rule for rule, block in BLOCKS.items() if re.search(r"^ +gpu=", block, re.M)}
    assert {rule for rule, given in asked.items() if given.get("gpu") or given.get("gres")} == with_gpu
    for rule in STEP_RULES.keys() - asked.keys():  # what is on no line is small or local
        assert "localrule: True" in BLOCKS[rule] or rule == "draw_scenes", rule


@pytest.mark.parametrize("name", STEPS)
def test_help_is_light(name):
    """Hundreds of processes start in a run: what a step needs, it imports when it works."""
    asked = run("-X", "importtime", "-m", f"piti.steps.{name}", "--help")
    assert asked.returncode == 0, asked.stderr
    assert f"usage: python -m piti.steps.{name} " in asked.stdout
    imported = {line.split("|")[-1].strip().split(".")[0] for line in asked.stderr.splitlines()}
    assert "piti" in imported
    assert not imported & HEAVY


@pytest.mark.parametrize("handler", ["onstart", "onsuccess", "onerror"])
def test_what_snakemake_does_at_an_event_stands_in_one_block(handler):
    """Of two blocks it keeps the last, without a word."""
    assert len(re.findall(rf"^{handler}:", TEXT, re.M)) <= 1
