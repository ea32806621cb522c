"""What is registered is named where it is registered, and nowhere else: so that anybody may add to it."""

import ast
import re
from pkgutil import resolve_name

import pytest
import yaml

from piti.baselines.contract import Baseline
from piti.cards.baselines import BASELINES, BaselineConfig
from piti.evaluate.extract import RESIZES
from piti.evaluate.extractors import EXTRACTORS
from tests.house import ROOT, RULES, SOURCES

# These know architectures and forms of weights, some of which have the name of an extractor.
OF_NETWORKS = ("networks/", "train/initial.py", "evaluate/extractors.py", "evaluate/feature_networks.py")
WEIGHTS = yaml.safe_load((ROOT / "config" / "weights.yaml").read_text())["weights"]


def elsewhere(*own: str) -> dict[str, str]:
    """Path -> text of every source and rule outside these files and folders of the package."""
    texts = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (*SOURCES, *RULES)}
    return {path: text for path, text in texts.items() if not path.removeprefix("src/piti/").startswith(own)}


def test_no_file_but_its_own_names_a_baseline():
    for path, text in elsewhere("baselines/", "cards/baselines.py").items():
        assert not re.search("|".join(BASELINES), text, re.IGNORECASE), path


def test_no_file_but_its_own_names_an_extractor():
    for path, text in elsewhere(*OF_NETWORKS).items():
        if path.endswith(".py"):
            constants = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
            assert not EXTRACTORS.keys() & set(map(str, constants)), path


@pytest.mark.parametrize("config", BASELINES.values(), ids=BASELINES)
def test_a_baseline_is_whole(config):
    assert issubclass(config, BaselineConfig) and issubclass(resolve_name(config.network), Baseline)
    assert set(config.of_no_size) <= config.__dataclass_fields__.keys()


@pytest.mark.parametrize("extractor", EXTRACTORS.values(), ids=EXTRACTORS)
def test_an_extractor_is_whole(extractor):
    assert callable(resolve_name(extractor.build)) and extractor.resize in RESIZES
    assert extractor.head.endswith("↓") and extractor.name in WEIGHTS


def test_one_extractor_is_what_the_paper_calls_fid():
    assert sum(extractor.papers_fid for extractor in EXTRACTORS.values()) == 1
