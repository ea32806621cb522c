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
    named = re.findall(r'\b(?:command|files|log_of|benchmark_of|artefact)\(\s*"(\w+)"', block)
    named += re.findall(r"RESULTS\}/(?:logs|benchmarks)/(\w+)/", block)
    assert set(named) == {rule}
    assert "\n    log:\n" in block
    assert "2> {log}" in block


def test_profiles_give_resources_to_rules_that_are_there():
    for profile in (*ROOT.glob("profiles/*/*.yaml"), *ROOT.glob("config/profiles/*/*.yaml")):
        settings = yaml.safe_load(profile.read_text())
        assert settings.get("set-resources", {}).keys() <= BLOCKS.keys(), profile


@pytest.mark.parametrize("name", STEPS)
def test_help_is_light(name):
    """Hundreds of processes start in a run: what a step needs, it imports when it works."""
    asked = run("-X", "importtime", "-m", f"piti.steps.{name}", "--help")
    assert asked.returncode == 0, asked.stderr
    assert f"usage: python -m piti.steps.{name} " in asked.stdout
    imported = {line.split("|")[-1].strip().split(".")[0] for line in asked.stderr.splitlines()}
    assert "piti" in imported
    assert not imported & HEAVY
