"""What `piti demo` does besides showing a page: which models it finds, and what it makes of a canvas."""

import shlex
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from piti.cards.base import dumps
from piti.cli import demo, making
from piti.cli.translate import SAMPLING, add_arguments, options
from piti.conditions import CONDITIONS
from piti.config import Run, load
from piti.datasets.colours import colour_map
from piti.plan import Plan
from piti.plan.models import trained as trained_of
from piti.plan.samples import samples_of
from piti.plan.scores import score_of
from piti.sample.stages import Stage
from piti.store.files import InputError, write_json

CONFIG = Path(__file__).parents[2] / "config"
ASKED = Namespace(method=None, task=None, model=None, upsampler=None, host="127.0.0.1", port=7860)


@pytest.fixture
def smoke(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(making, "asked", [])
    return load({"preset": "smoke"}, CONFIG)


@pytest.fixture
def trained(smoke):
    """Files in place of OASIS's and SPADE's weights."""
    plan = Plan(smoke)
    for method in ("oasis", "spade"):
        weights = Path(samples_of(plan, method, "coco_mask", 1.0, 0).inputs["model"][0])
        weights.parent.mkdir(parents=True)
        weights.write_bytes(b"weights")
    return smoke


def test_the_models_that_are_there_are_offered(trained):
    found = list(demo.choices(ASKED, trained))
    assert [(one.tab, one.label) for one in found] == [("COCO (Mask)", "SPADE"), ("COCO (Mask)", "OASIS")]
    (one,) = demo.choices(Namespace(**vars(ASKED) | {"method": "oasis"}), trained)
    assert one.named == "--method oasis --task coco_mask --config preset=smoke"
    said = "Preset smoke: smoke preset, numbers are meaningless. oasis-coco_mask (published weights). "
    assert one.worth == f"{said}Not scored yet"
    again = replace(trained, methods=trained.methods | {"again": replace(trained.methods["spade"], label="2")})
    assert list(demo.choices(ASKED, again)) == found  # the same weights, sampled another way
    score = score_of(Plan(trained), Run(method="oasis", task="coco_mask", metric="fid_c"), 0)
    write_json(score.path, {"value": 12.34, "interval": [10, 14.06], "n": 24})
    (one,) = demo.choices(Namespace(**vars(ASKED) | {"method": "oasis"}), trained)
    assert one.worth == f"{said}FD EfficientNet-Lite0 ↓ 12.3 (10.0 to 14.1), n = 24"
    with pytest.raises(InputError, match="nearest valid key: oasis"):
        list(demo.choices(Namespace(**vars(ASKED) | {"method": "oasys"}), trained))


def test_without_models_or_gradio_one_line_says_what_to_do(smoke, trained, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "piti.cli.demo_page", raising=False)
    with pytest.raises(InputError, match=r"needs gradio, which is not installed; try: pip install --no-deps"):
        demo.run(ASKED, trained)
    monkeypatch.chdir(tmp_path / "results")
    with pytest.raises(InputError, match="found no trained model of preset smoke"):
        demo.run(ASKED, smoke)


@pytest.mark.parametrize(
    "row, of, task, says",
    [
        ("spade", "coco_mask", None, "COCO (Mask)"),
        ("spade", "coco_mask", "coco_sketch", "--task: found coco_sketch of condition sketch, expected mask"),
        ("spade", "coco_mask", "ade20k_mask", "--task: found ade20k_mask with 151 classes, expected 183"),
        ("two_stage", "coco_mask", "coco_mask", "COCO (Mask)"),
        ("two_stage", "coco_mask", None, "--task: found none, expected whose labels are painted: ade20k_mask, "),
        ("two_stage", "coco_sketch", None, "COCO (Sketch)"),
        ("two_stage", "coco_sketch", "diode_geometry", "--task: found diode_geometry of condition geometry"),
    ],
)
def test_named_weights_are_painted_for_as_their_card_says(smoke, tmp_path, row, of, task, says):
    model = tmp_path / "model.safetensors"
    save_file({"w": np.zeros(1)}, model, {"card": dumps(trained_of(Plan(smoke), row, of, 1.0, 0).card)})
    try:
        (found,) = demo.choices(Namespace(**vars(ASKED) | {"model": model, "task": task}), smoke)
        assert found.tab == says
    except InputError as error:
        assert str(error).startswith(says)


@pytest.mark.parametrize(
    "named, says",
    [
        ({"upsampler": Path("/no")}, "--upsampler: found /no, expected it with --model alone"),
        ({"model": Path("m"), "method": "spade"}, "--method: found spade, expected it without --model"),
    ],
)
def test_what_would_be_forgotten_is_refused(smoke, named, says):
    with pytest.raises(InputError, match=says):
        next(demo.choices(Namespace(**vars(ASKED) | named), smoke))


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_cannot_be_is_refused(trained, port):
    with pytest.raises(InputError, match=f"--port: found {port}, expected 1 to 65535"):
        demo.run(Namespace(**vars(ASKED) | {"port": port}), trained)


def test_masks_are_painted_in_the_classes_of_their_data_set(smoke):
    assert demo.palette(smoke, "ade20k_mask")["tree"] == 5
    assert demo.palette(smoke, "flickr_mask")["tree"] == 169  # COCO-Stuff's 168; 0 is void
    for task in ("ade20k_mask", "coco_mask"):
        labels = demo.palette(smoke, task).values()
        assert len(set(labels)) == len(labels)
        assert max(labels) < smoke.datasets[smoke.tasks[task].dataset].num_classes


def test_black_ink_on_a_transparent_ground_is_no_empty_sketch():
    """`piti translate` refuses such a file."""
    page = pytest.importorskip("piti.cli.demo_page", reason="no Gradio here (pip install --no-deps -r envs/demo.txt)")
    sketch = CONDITIONS["sketch"]
    translator = Namespace(condition=sketch, num_classes=255, read=lambda path: sketch.open(path, 64))
    ink = np.zeros((512, 512, 4), np.uint8)
    ink[200:232, :, 3] = 255
    with pytest.raises(InputError, match="found no edge at 64×64 pixels"):
        page.read(translator, [{"composite": Image.fromarray(ink)}])
    ink[200:232, :, :3] = 255
    assert page.read(translator, [{"composite": Image.fromarray(ink)}]).sum() == 4 * 64
    assert not page.read(translator, [{"composite": Image.new("RGBA", (512, 512), (255, 255, 255, 0))}]).any()


def test_a_brushs_rim_becomes_what_lies_beside_it():
    colours = colour_map(151)
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:, 4:] = colours[5]
    blended = picture.copy()
    blended[:, 4] = colours[5] // 3  # a colour that no class has
    found = CONDITIONS["mask"].cleaned(blended, len(colours) - 1)
    assert np.array_equal(np.delete(found, 4, 1), np.delete(picture, 4, 1))
    assert {tuple(colour) for colour in found[:, 4].tolist()} <= {(0, 0, 0), tuple(colours[5].tolist())}
    with pytest.raises(InputError, match="found 0% of the pixels in colours of the label colour map"):
        CONDITIONS["mask"].cleaned(np.full((8, 8, 3), 77, np.uint8), len(colours) - 1)


def test_the_command_below_a_picture_is_one_that_translate_takes(trained):
    page = pytest.importorskip("piti.cli.demo_page", reason="no Gradio here (pip install --no-deps -r envs/demo.txt)")
    asked = dict.fromkeys(SAMPLING.values(), "2")
    base, upsampler = (Stage(samples_of(Plan(trained), "ours", "coco_mask", 1.0, 0).card, Path(n)) for n in "ab")
    (baseline,) = demo.choices(Namespace(**vars(ASKED) | {"method": "oasis"}), trained)
    for stages in ([base], [base, upsampler], baseline.stages):
        said = shlex.split(page.command(baseline._replace(stages=stages), asked, 1).strip("`\n"))
        parser = ArgumentParser()
        add_arguments(parser)
        given, _ = parser.parse_known_args(said[2:])  # --config is everybody's
        assert given.out.resolve() != given.condition.parent.resolve()  # or the picture would replace the condition
        assert {option for option in SAMPLING if getattr(given, option)} == options(stages, "mask") - {"void"}


def test_the_command_below_a_picture_names_what_the_page_was_asked_for(smoke, tmp_path, monkeypatch):
    page = pytest.importorskip("piti.cli.demo_page", reason="no Gradio here (pip install --no-deps -r envs/demo.txt)")
    monkeypatch.setattr(making, "asked", ["--config", "preset=smoke", "sampling={eta: 0.5}"])
    card = trained_of(Plan(smoke), "two_stage", "diode_geometry", 1.0, 0).card
    save_file({"w": np.zeros(1)}, model := tmp_path / "my model.safetensors", {"card": dumps(card)})
    (found,) = demo.choices(Namespace(**vars(ASKED) | {"model": model}), smoke)
    said = shlex.split(page.command(found, dict.fromkeys(SAMPLING.values(), "2"), None).strip("`\n"))
    assert said[2:7] == ["--model", str(model), "--config", "preset=smoke", "sampling={eta: 0.5}"]
    assert said[said.index("--condition") + 1] == "image_normal.png"  # beside image_depth.png
    assert "--seed" not in said  # the field was emptied: the model's own


def test_an_enlarged_condition_is_read_as_it_was(tmp_path):
    page = pytest.importorskip("piti.cli.demo_page", reason="no Gradio here (pip install --no-deps -r envs/demo.txt)")
    mask = CONDITIONS["mask"]
    translator = Namespace(condition=mask, num_classes=151, read=lambda path: mask.open(path, 64, 151))
    labels = np.random.default_rng(0).integers(0, 151, (64, 64), np.uint8)
    canvas = {"composite": Image.fromarray(page.enlarged(mask.paint(labels)[0])).convert("RGBA")}
    assert np.array_equal(page.read(translator, [canvas]), labels)
    nothing = {"composite": Image.new("RGBA", (512, 512), (255, 255, 255, 0))}  # where nobody painted is void
    assert not page.read(translator, [nothing]).any()
    with pytest.raises(InputError, match="expected Paint, or upload a file"):
        page.read(translator, [{"background": None, "layers": [], "composite": None}])  # a canvas that was cleared
    with pytest.raises(InputError, match="expected Normals and Depth"):
        page.read(Namespace(condition=CONDITIONS["geometry"]), [None, None])
