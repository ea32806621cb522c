"""What is registered is named where it is registered, and nowhere else: so that anybody may add to it."""

import ast
import re
from pkgutil import resolve_name

import numpy as np
import pytest
import torch
import yaml

from piti.baselines.contract import Baseline
from piti.cards.baselines import BASELINES, BaselineConfig
from piti.cards.train import KINDS, kind_of
from piti.conditions import CONDITIONS, STORED, Condition
from piti.datasets.layouts import LAYOUTS
from piti.evaluate.extract import RESIZES
from piti.evaluate.extractors import EXTRACTORS
from piti.evaluate.measures import MEASURES
from piti.plan.models import OWN
from piti.train.row import OBJECTIVES
from tests.house import ROOT, RULES, SOURCES

# These know architectures and forms of weights, some of which have the name of an extractor.
OF_NETWORKS = ("networks/", "train/initial.py", "evaluate/extractors.py", "evaluate/feature_networks.py")
WORDS = {"folder"}  # a layout's name, and a word for much else
WEIGHTS = yaml.safe_load((ROOT / "config" / "weights.yaml").read_text())["weights"]


def elsewhere(*own: str) -> dict[str, str]:
    """Path -> text of every source and rule outside these files and folders of the package."""
    texts = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (*SOURCES, *RULES)}
    return {path: text for path, text in texts.items() if not path.removeprefix("src/piti/").startswith(own)}


def test_no_file_but_its_own_names_a_baseline():
    for path, text in elsewhere("baselines/", "cards/baselines.py").items():
        assert not re.search("|".join(BASELINES), text, re.IGNORECASE), path


@pytest.mark.parametrize(
    ("registry", "own"),
    [
        (EXTRACTORS, OF_NETWORKS),
        (CONDITIONS, ("conditions/", "evaluate/measures.py", "cards/baselines.py")),
        (MEASURES, ("evaluate/measures.py",)),
        (LAYOUTS, ("datasets/layouts.py", "scenes/")),
    ],
    ids=lambda value: getattr(value, "what", ""),
)
def test_no_file_but_its_own_names_what_is_registered(registry, own):
    for path, text in elsewhere(*own).items():
        if path.endswith(".py"):
            constants = {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
            assert not (registry.keys() - WORDS) & constants, path


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


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_a_condition_is_whole(condition):
    assert isinstance(condition, Condition) and condition.name not in STORED
    rng, high = np.random.default_rng(0), 2 if condition.bits else 8
    stored = rng.integers(0, high, (2, *condition.shape(32)), dtype=np.uint8)
    encoded = condition.encode(stored)
    assert encoded.shape == (2, condition.channels, 32, 32) and encoded.dtype == np.float32
    assert all(picture.shape == (2, 32, 32, 3) and picture.dtype == np.uint8 for picture in condition.paint(stored))
    assert len(condition.paint(stored)) == len(condition.asks)
    for view in condition.views:
        loaded = torch.from_numpy(condition.for_loader(stored, view))
        seen = condition.semantics(loaded, num_classes=8)
        assert seen.shape == (2, condition.baseline_channels(8, False), 32, 32) and seen.dtype == torch.float32
    if channels := condition.estimator_channels(8):
        target = torch.from_numpy(condition.target(stored))
        found = torch.randn(2, channels, 32, 32)
        assert condition.estimator_loss(found, target).shape == condition.said(target).shape
        assert len(condition.predicted(found)) == 2
    assert any(measure.condition == condition.name for measure in MEASURES.values())


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_measure_is_whole(measure):
    assert callable(resolve_name(measure.compare)) and callable(resolve_name(measure.total))
    assert measure.head.endswith("↑" if measure.higher_is_better else "↓")
    if measure.network == "estimator":
        assert CONDITIONS[measure.condition].estimator_channels(8)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_layout_is_whole(layout):
    assert callable(layout.find) and callable(resolve_name(layout.writer))


@pytest.mark.parametrize("form", STORED.values(), ids=STORED)
def test_a_kind_of_shards_is_whole(form):
    assert form.parts and all(form.shape_in_file(32)) and form.bytes(32) > 0


@pytest.mark.parametrize("kind", [*KINDS, *BASELINES])
def test_a_kind_of_model_is_planned_and_trained(kind):
    assert kind_of(kind).objective in OWN.keys() & OBJECTIVES.keys()
