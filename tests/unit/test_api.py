"""From Python: what docs/python.md shows runs, and draws what the command draws."""

import re
import shutil
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file
from tests.unit.train import tiny

from piti import __main__ as cli
from piti import api
from piti.cards.base import dumps
from piti.conditions import CONDITIONS
from piti.config import load
from piti.evaluate.efficientnet import Trunk
from piti.networks.piti import PITI
from piti.plan import Plan
from piti.plan.data import weights_of
from piti.plan.samples import samples_of
from piti.store.files import InputError

ROOT = Path(__file__).parents[2]
TASK = "coco_mask"
FEW = {"respacing": "2", "upsampler_respacing": "2"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the shipped configuration, a method's models as their trainings leave them, masks, photographs."""
    folder = tmp_path_factory.mktemp("api")
    shutil.copytree(ROOT / "config", folder / "config")
    plan, rng = Plan(load({"preset": "smoke"}, folder / "config")), np.random.default_rng(0)
    samples_of(plan, "ours", TASK, 1.0, 0)
    for artefact in plan.artefacts.values():
        if artefact.name.startswith(("two_stage", "upsampler")) and artefact.step == "train":
            path, card = folder / artefact.path, artefact.card
            path.parent.mkdir(parents=True)
            save_file(tiny.stirred(PITI(card.unet, card.encoder.with_channels(3))), path, {"card": dumps(card)})
    weights = folder / weights_of(plan, "efficientnet_lite0").path
    weights.parent.mkdir(parents=True)
    save_file(tiny.stirred(Trunk()), weights)
    for kind, shape in (("masks", (64, 64)), ("photographs", (64, 64, 3))):
        (folder / kind).mkdir()
        for i in range(16):
            Image.fromarray(rng.integers(0, 182, shape, np.uint8)).save(folder / kind / f"{i}.png")
    (folder / "results/smoke/table1.long.csv").write_text("row,column,value,low,high\nOurs,A,1.5,1,2\n")
    return folder


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def weights(folder):
    return [
        next(folder.glob(f"results/smoke/models/{row}-{TASK}/*/weights.safetensors"))
        for row in ("two_stage", "upsampler")
    ]


def test_the_documented_lines_run(here, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.S)
    found = {}
    exec(code, found)
    assert len(found["pictures"]) == 16 and found["pictures"]["0"].shape == (32, 32, 3)
    low, high = found["score"]["interval"]
    assert low < found["score"]["value"] < high and found["score"]["n"] == 16
    assert found["table"].loc[0, ["value", "low", "high"]].tolist() == [1.5, 1, 2]


def test_model_and_method_draw_the_same_picture_by_hand_and_by_command(here, monkeypatch):
    base, upsampler = weights(here)
    named = {"method": ["--method", "ours"], "model": ["--model", str(base), "--upsampler", str(upsampler)]}
    more = ["--task", TASK, "--condition", "masks", "--config", "preset=smoke", "--upsampler-respacing", "2"]
    for out, options in named.items():
        monkeypatch.setattr(sys, "argv", ["piti", "translate", *options, "--out", out, *more])
        cli.main()
    several = [
        api.translator(method="ours", task=TASK, preset="smoke", upsampler_respacing="2"),
        api.translator(base, upsampler, task=TASK, preset="smoke", upsampler_respacing="2"),
        api.translator(base.parent, upsampler.parent, task=TASK, preset="smoke", upsampler_respacing="2"),
    ]
    drawn = [api.draw(model, "masks") for model in several]
    drawn.append(api.draw(several[0], {i: several[0].read(Path(f"masks/{i}.png")) for i in drawn[0]}))
    drawn += [{path.stem: np.asarray(Image.open(path)) for path in Path(out).iterdir()} for out in named]
    for pictures in drawn[1:]:
        assert pictures.keys() == drawn[0].keys()
        assert all(np.array_equal(picture, drawn[0][name]) for name, picture in pictures.items())
    other = api.translator(method="ours", task=TASK, preset="smoke", seed=1, upsampler_respacing="2")
    assert not np.array_equal(api.draw(other, {"0": "masks/0.png"})["0"], drawn[0]["0"])


def test_what_cannot_be_done_is_refused_in_one_line(here):
    with pytest.raises(InputError, match="found option 'sede', expected seed, void, guidance"):
        api.translator(method="ours", task=TASK, preset="smoke", sede=1)
    with pytest.raises(InputError, match="expected either --method and --task, or --model"):
        api.translator(preset="smoke")
    model = api.translator(method="ours", task=TASK, preset="smoke", **FEW)
    with pytest.raises(InputError, match=r"a: found float64 of shape \(64, 64\), expected uint8 of shape \(32, 32\)"):
        api.draw(model, {"a": np.zeros((64, 64))})
    with pytest.raises(InputError, match="a: found list, expected an array or a path"):
        api.draw(model, {"a": [[0]]})
    with pytest.raises(InputError, match="conditions: found ndarray, expected a mapping or a path"):
        api.draw(model, np.zeros((1, 32, 32), np.uint8))
    with pytest.raises(InputError, match="metric: found 'fid', expected fid_c, fid_i"):
        api.score({}, {}, "fid", preset="smoke")
    with pytest.raises(InputError, match="the same ids in both"):
        api.score("photographs", {f"x{i}": np.zeros((64, 64, 3), np.uint8) for i in range(16)}, preset="smoke")


def test_the_configuration_is_the_commands(here, monkeypatch):
    """Paths of weights and the like stand in config.yaml; what is said in Python stands above it."""
    asked, before = [], (here / "config/config.yaml").read_text()
    monkeypatch.setattr(api, "prepared", lambda arguments, config: asked.append(config) or sys.exit())
    monkeypatch.setattr(api, "Plan", lambda config: asked.append(config) or sys.exit())
    (here / "config/config.yaml").write_text("preset: smoke\nsampling: {guidance: 0.25}\nseeds: [3]\n")
    for call in (
        lambda: api.translator(method="ours", task=TASK),
        lambda: api.translator(method="ours", task=TASK, preset="mini", settings={"seeds": [4]}),
        lambda: api.score("photographs", "photographs", settings={"seeds": [5]}),
    ):
        with pytest.raises(SystemExit):
            call()
    (here / "config/config.yaml").write_text(before)
    assert [config.preset for config in asked] == ["smoke", "mini", "smoke"]
    assert [config.seeds for config in asked] == [(3,), (4,), (5,)]
    assert all(config.sampling.guidance == 0.25 for config in asked)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda model: api.draw(model, "masks", batch=-1), "batch: found -1, expected 1 or more"),
        (lambda model: api.draw(model, "masks", batch=0), "batch: found 0, expected 1 or more"),
        (lambda model: api.draw(model, "masks", batch=1.5), "batch: found 1.5, expected 1 or more"),
        (lambda model: api.table("nope"), "nope.long.csv: no such file"),
        (lambda model: api.table(3), "path: found int, expected the name of a table or a path"),
        (lambda model: translator(void="x"), "void: found 'x', expected a whole number"),
        (lambda model: translator(seed="x"), "seed: found 'x', expected a whole number"),
        (lambda model: translator(seed=1.5), "seed: found 1.5, expected a whole number"),
        (lambda model: translator(seed=True), "seed: found True, expected a whole number"),
    ],
)
def test_what_is_no_such_value_is_refused_in_one_line(here, call, says):
    model = Namespace(condition=CONDITIONS["mask"], resolution=32, num_classes=183)
    with pytest.raises(InputError, match=f"^{re.escape(says)}"):
        call(model)


def translator(**options):
    return api.translator(method="ours", task=TASK, preset="smoke", **FEW, **options)


@pytest.mark.parametrize(
    "kind, value, expected",
    [("sketch", 255, "0 to 1"), ("sketch", 2, "0 to 1"), ("mask", 250, "0 to 151"), ("mask", 152, "0 to 151")],
)
def test_conditions_as_arrays_hold_what_is_stored(kind, value, expected):
    model = Namespace(condition=CONDITIONS[kind], resolution=4, num_classes=151)
    array = np.zeros((4, 4), np.uint8)
    array[1, 1] = value
    with pytest.raises(InputError, match=f"^a: found {value}, expected {expected}"):
        api.draw(model, {"a": array})


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((64, 64, 3)),
        np.zeros((64, 64, 3), np.float32),
        np.zeros((64, 64, 3), np.int64),
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((3, 64, 64), np.uint8),
        np.zeros((1, 64, 64, 3), np.uint8),
        np.zeros((0, 0, 3), np.uint8),
    ],
)
def test_pictures_to_score_are_eight_bits_in_colours(here, picture):
    with pytest.raises(InputError, match=r"x: found \w+ of shape .*, expected uint8 of shape \(height, width, 3\)"):
        api.score({"x": picture}, "photographs", preset="smoke")


def test_what_is_no_collection_of_pictures_is_not_scored(here):
    for given, words in (
        (np.zeros((16, 64, 64, 3), np.uint8), "pictures: found ndarray, expected a mapping or a path"),
        ({"x": None}, "x: found NoneType, expected an array or a path"),
        ({}, "found no pictures, expected at least one"),
    ):
        with pytest.raises(InputError, match=words):
            api.score(given, "photographs", preset="smoke")
