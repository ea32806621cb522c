"""The command `piti`: the chain behind a cell, what nobody needs, one line for bad input."""

import json
import os
import re
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file
from tests.unit.data.reading import read, scan
from tests.unit.train import tiny

from piti import __main__ as cli
from piti import scenes
from piti.cards import SamplingConfig
from piti.cards.base import dumps
from piti.cli.score import spelt
from piti.cli.translate import add_arguments, prepared
from piti.conditions import CONDITIONS
from piti.config import Method, load
from piti.data.shards import write
from piti.datasets.colours import colour_map
from piti.evaluate.features import Features, Spec, write_features
from piti.networks.piti import PITI
from piti.plan import Plan, resolve
from piti.plan.data import packed
from piti.plan.models import trained
from piti.plan.report import claims
from piti.plan.samples import samples_of
from piti.plan.scores import features_of
from piti.sample.stages import Labels, stages_of
from piti.sample.translate import find, translate
from piti.store.files import InputError, write_failure, write_json

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture
def piti(monkeypatch, tmp_path, capsys):
    """Run `piti …` in an empty folder with the shipped configuration, smoke: -> (stdout, stderr)."""
    shutil.copytree(CONFIG, tmp_path / "config")
    monkeypatch.chdir(tmp_path)

    def run(command, *arguments):
        line = ["piti", command, *map(str, arguments), "--config", "preset=smoke"]
        monkeypatch.setattr(sys, "argv", line)
        cli.main()
        return capsys.readouterr().out

    return run


def refused(capsys, piti, *arguments) -> str:
    """The one line on stderr."""
    with pytest.raises(SystemExit) as end:
        piti(*arguments)
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture
def smoke():
    return resolve(load({"preset": "smoke"}, CONFIG))


def test_explain_prints_the_chain(piti, smoke):
    score = smoke[1]["table1"].inputs["scores"][-6]  # Ours, ADE20K
    write_failure([score], "diverged")
    text = piti("explain", "table1", "ours", "ade20k")
    assert score in text
    assert "failed: diverged" in text
    assert "Ours / ADE20K, FD EfficientNet-Lite0 ↓: ours/ade20k_mask/100%: failed: diverged; the paper has 8.9" in text
    steps = {line.split()[0] for line in text.splitlines()[1:] if "|" not in line}
    assert steps >= {"score", "extract_features", "upsample", "sample", "train", "pack", "draw_scenes"}
    assert text.count("(above)") > 3  # shared ancestors are printed once


def test_explain_lists_a_tables_cells(piti):
    text = piti("explain", "table3a")
    assert "One-stage finetune / FD EfficientNet-Lite0 ↓: missing" in text


def test_explain_prints_numbers_and_figures(piti, smoke):
    for score in smoke[1]["table3a"].inputs["scores"]:
        write_json(score, {"value": 12.34, "interval": [10, 14.06], "n": 24})
    assert "One-stage finetune / FD EfficientNet-Lite0 ↓: 12.3 (10.0 to 14.1), n = 24" in piti("explain", "table3a")
    assert "make_figure figure3" in piti("explain", "figure3")


def test_explain_prints_small_numbers_too(piti, smoke):
    """Distances by VGG16 lie below 1; with one digit they were 0.0."""
    for score in smoke[1]["table3a"].inputs["scores"]:
        write_json(score, {"value": 0.00974, "interval": [0.008, 0.0112], "n": 24})
    assert ": 0.0097 (0.0080 to 0.0112), n = 24" in piti("explain", "table3a")


def test_compare_takes_the_differences_of_trainings(piti, tmp_path, capsys):
    """Three trainings each, on the same two halves of 24 images; what is selected on the test set stays out."""
    best = {"methods": {"best": {"label": "Best", "best_of": ["pix2pixhd", "spade"]}}}
    settings = {"seeds": [0, 1, 2], "tables": {"table1": {"rows": {"oasis": {"method": "best"}}}}} | best
    with open(tmp_path / "config/config.yaml", "a") as file:
        file.writelines(f"{key}: {value}\n" for key, value in settings.items())
    _, tables, _ = resolve(load({"preset": "smoke"} | settings, CONFIG))
    table = tables["table1"]
    assert "Ours: found no scores" in refused(capsys, piti, "compare", "table1", "ours")
    values = {"Ours": [10, 13, 13], "Ours (from scratch)": [20, 20, 26], "Pix2PixHD": [1, 1, 1], "SPADE": [2, 2, 2]}
    paths = iter(table.inputs["scores"])
    for cell in table.card.cells:
        for path, value in zip([next(paths) for _ in cell.scores], values.get(cell.row, ()), strict=False):
            same = {"n": 24, "extractor": "e", "reference": "r", "seed": 0}
            write_json(path, same | {"value": value, "pseudo_values": [value, value], "sizes": [12, 12]})
    text = re.sub(" +", " ", piti("compare", "table1", "ours"))  # without the columns' widths
    assert "| 1.0, 1.0, 1.0 | 2.0, 2.0, 2.0 | 20.0, 20.0, 26.0 | 10.0, 13.0, 13.0 |" in text
    # -10, -7 and -13: mean -10, deviation 3, and Student's 4.303 for two degrees of freedom
    assert "| 10.0 (5.7 to 14.3) | -10.0 (-17.5 to -2.5) |" in text
    assert "Best" not in text  # it has the scores of Pix2PixHD and SPADE
    expected = "Best: found cells selected on the test set (best_of), expected scores of all its seeds"
    assert expected in refused(capsys, piti, "compare", "table1", "oasis")


def test_compare_takes_columns_where_those_are_what_is_compared(piti):
    """Table 4 has the methods in its columns. Columns that measure different things have no difference."""
    tables = resolve(load({"preset": "smoke"}, CONFIG))[1]
    for name, values in (("table4", {"ours": 10, "scratch": 12.5}), ("resolutions", {"ours": 10})):
        paths = iter(tables[name].inputs["scores"])
        for cell in tables[name].card.cells:
            for path in [next(paths) for _ in cell.scores]:
                if value := values.get(cell.run.split("/")[0]):
                    seen = {"name": "e", "resize": "shrunk" if "small" in cell.column else "none"}
                    same = {"n": 24, "extractor": seen, "reference": "r", "seed": 0}
                    write_json(path, same | {"value": value, "pseudo_values": [value] * 2, "sizes": [12, 12]})
    text = re.sub(" +", " ", piti("compare", "table4", "ours"))
    assert "| | Ours (from scratch) | Ours |" in text
    assert "| 100%, FD EfficientNet-Lite0 ↓ | 12.5 | 10.0 |" in text
    assert "| | Ours − Ours (from scratch) |" in text
    assert "| 25%, FD EfficientNet-Lite0 ↓ | -2.5 (-2.5 to -2.5) |" in text
    text = re.sub(" +", " ", piti("compare", "resolutions", "fid_c"))
    assert "Ours, made small, FD EfficientNet-Lite0 ↓" in text and "−" not in text  # no column has a line of another


def test_compare_prints_no_differences_of_a_row_that_is_alone(piti, smoke):
    for path in smoke[1]["table3a"].inputs["scores"][:1]:
        write_json(path, {"value": 10})
    assert len(piti("compare", "table3a", "fid").splitlines()) == 3


def test_compare_takes_as_many_trainings_of_both(piti, tmp_path):
    """One training is one, whatever it is compared with; real images have one score for all seeds."""
    settings = {"seeds": [0, 1, 2], "tables": {"alignment": {"rows": {"scratch": {"seeds": [0]}}}}}
    with open(tmp_path / "config/config.yaml", "a") as file:
        file.writelines(f"{key}: {value}\n" for key, value in settings.items())
    table = resolve(load({"preset": "smoke"} | settings, CONFIG))[1]["alignment"]
    paths = iter(table.inputs["scores"])
    same = {"n": 24, "extractor": "e", "reference": "r", "seed": 0, "pseudo_values": [1, 1], "sizes": [12, 12]}
    for cell in table.card.cells:
        for path in [next(paths) for _ in cell.scores]:
            if cell.column.startswith("ADE20K") and cell.row in ("Ours", "Ours (from scratch)", "Real images"):
                write_json(path, same | {"value": 1 + cell.scores.index(Path(path).parts[-2])})
                if cell.row == "Ours (from scratch)":
                    lone = Path(path)
    text = re.sub(" +", " ", piti("compare", "alignment", "ours"))
    # 0, 1 and 2 more than the real images
    assert "| 1.0 (-1.5 to 3.5) | not comparable |" in text
    expected = "seeds: found [0, 1, 2] of ours and [0] of scratch, expected the same of both, in the same order"
    assert text.endswith(f"|\n\nOurs − Ours (from scratch): {expected}\n")
    lone.unlink()
    assert "not comparable" not in piti("compare", "alignment", "ours")


def test_claims_are_checked_as_far_as_scores_exist(piti, tmp_path):
    """One claim has scores of both sides, another of one, the rest of neither."""
    settings = {"seeds": [0, 1, 2], "no_verdict": ""}
    with open(tmp_path / "config/config.yaml", "a") as file:
        file.writelines(f"{key}: {value!r}\n" for key, value in settings.items())
    compared = claims(resolve(load({"preset": "smoke"} | settings, CONFIG))[0])
    paths = {side: iter(compared.inputs[side]) for side in ("better", "than")}
    same = {"n": 24, "extractor": "e", "reference": "r", "seed": 0, "higher_is_better": False, "sizes": [12, 12]}
    values = {"Ours": [10, 13, 13], "Ours (from scratch)": [20, 20, 26]}
    for ordering in (ordering for claim in compared.card.claims for ordering in claim.orderings):
        for side in ("better", "than"):
            scores = zip(
                [next(paths[side]) for _ in ordering.better_scores],
                values.get(getattr(ordering, side), ()),
                strict=False,
            )
            for path, value in scores if ordering.task == "ADE20K" else ():
                write_json(path, same | {"value": value, "pseudo_values": [value, value]})
    told = [[cell.strip() for cell in line.split("|")[1:-1]] for line in piti("claims").splitlines()[2:]]
    assert {line[0] for line in told} == {claim.text for claim in compared.card.claims}
    difference = "Ours − Ours (from scratch), FD EfficientNet-Lite0 ↓: -10.0 (-17.5 to -2.5)"
    pretraining = [line for line in told if line[0].startswith("Pretraining helps, Ours")]
    assert pretraining == [[pretraining[0][0], "ADE20K", "held", difference, ""]]
    assert ["Ours is better than SPADE (Table 1)", "ADE20K", "not run", "", "SPADE: missing"] in told


def test_a_reader_who_leaves_early_sees_no_traceback(tmp_path):
    shutil.copytree(CONFIG, tmp_path / "config")
    line = [sys.executable, "-m", "piti", "explain", "table3a", "--config", "preset=smoke"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(line, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert done.stderr == ""


def test_what_the_disk_refuses_is_one_line(piti, capsys):
    assert refused(capsys, piti, "plan", "--configfile", "config") == "error: config: Is a directory"


def test_explain_refuses_unknown_names(piti, capsys):
    assert "nearest valid name: Ours" in refused(capsys, piti, "explain", "table1", "Ourz")
    assert "nearest valid name: table1" in refused(capsys, piti, "explain", "tabel1")


def test_explain_says_which_columns_a_beginning_may_mean(piti, capsys):
    said = refused(capsys, piti, "explain", "table5", "ours", "ade20k")
    both = "ade20k_mask_i (ADE20K, FD VGG16 ↓) or ade20k_mask_c (ADE20K, FD EfficientNet-Lite0 ↓)"
    assert said == f"error: table5: column: found 'ade20k', expected {both}"


def test_blank_leaves_out_what_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = resolve(load({"preset": "smoke"}, CONFIG))[1]["table1"]
    there = whole.inputs["scores"][3]
    write_failure([there], "any file will do")
    blank = resolve(load({"preset": "smoke", "missing": "blank"}, CONFIG))[1]["table1"]
    assert blank.inputs["scores"] == (there,)
    assert sum(cell.reason == "missing" for cell in blank.card.cells) == len(whole.inputs["scores"]) - 1


opened = CONDITIONS["mask"].open


# -- a user's own conditions -------------------------------------------------------------------------------------------


def save(path: Path, array: np.ndarray) -> Path:
    Image.fromarray(array.astype(np.uint8)).save(path)
    return path


COCO, ADE20K = Labels("coco_stuff", 183), Labels("ade20k", 151)


def test_masks_are_read_from_colours_and_from_the_data_sets_own_ids(tmp_path):
    stored = np.array([[0, 1], [150, 182]], np.uint8)
    painted = save(tmp_path / "a.png", colour_map(256)[stored])
    assert np.array_equal(opened(painted, 2, 183), stored)
    assert np.array_equal(opened(save(tmp_path / "b.png", stored - np.uint8(1)), 2, 183, COCO.layout), stored)
    assert np.array_equal(opened(save(tmp_path / "c.png", stored % 151), 2, 151, ADE20K.layout), stored % 151)
    with pytest.raises(InputError, match=r"b.png: found label ids, expected to hear of which task \(--task\)"):
        opened(tmp_path / "b.png", 2, 183)
    with pytest.raises(InputError, match=r"a.png: found label 182, expected 0 \(void\) to 150"):
        opened(tmp_path / "a.png", 2, 151)
    for labels, id, expected in ((COCO, 182, r"0 to 181 \(255 is void\)"), (ADE20K, 151, r"0 \(void\) to 150")):
        with pytest.raises(InputError, match=f"d.png: found label {id}, expected {expected}"):
            opened(save(tmp_path / "d.png", np.full((2, 2), id)), 2, labels.num_classes, labels.layout)
    with pytest.raises(InputError, match=r"c.png: found colour \(1, 2, 3\)"):
        opened(save(tmp_path / "c.png", np.full((2, 2, 3), (1, 2, 3))), 2, 183)


@pytest.mark.parametrize("layout", ["ade20k", "coco_stuff", "folder"])
def test_label_files_of_a_data_set_are_read_as_packing_reads_them(tmp_path, layout):
    scenes.write(tmp_path, layout, 0, {"train": 4, "test": 0}, 32)
    ids = Labels(layout, 151 if layout == "ade20k" else 183)
    for record in scan(layout, tmp_path, "train"):
        expected = read("mask", record, 32, layout, num_classes=ids.num_classes)
        assert np.array_equal(opened(record.parts["labels"], 32, ids.num_classes, ids.layout), expected)
        painted = save(tmp_path / "painted.png", colour_map(256)[expected])
        assert np.array_equal(opened(painted, 32, ids.num_classes), expected)


def test_void_may_be_painted_as_the_last_class(tmp_path):
    """As three of the authors' own four example masks have it."""
    colour = np.full((2, 2, 3), (128, 224, 192), np.uint8)
    assert (opened(save(tmp_path / "a.png", colour), 2, 183, COCO.layout) == 183).all()
    with pytest.raises(InputError, match="found label 184"):
        opened(save(tmp_path / "b.png", colour_map(256)[np.full((2, 2), 184)]), 2, 183, COCO.layout)


def test_sketches_are_white_on_black(tmp_path):
    edges = np.zeros((4, 4), np.uint8)
    edges[1] = 255
    assert np.array_equal(CONDITIONS["sketch"].open(save(tmp_path / "a.png", edges), 4), edges // 255)
    with pytest.raises(InputError, match="75% white"):
        CONDITIONS["sketch"].open(save(tmp_path / "b.png", 255 - edges), 4)


def test_geometry_is_two_pictures(tmp_path):
    for name, colour in (("x_normal.png", (10, 11, 12)), ("x_depth.png", (20, 21, 22))):
        save(tmp_path / name, np.full((2, 2, 3), colour))
    found = find(tmp_path, CONDITIONS["geometry"])
    assert list(found) == ["x"]
    assert find(tmp_path / "x_depth.png", CONDITIONS["geometry"]) == found
    for either in (found["x"], tmp_path / "x_depth.png"):
        assert CONDITIONS["geometry"].open(either, 2)[0, 0].tolist() == [10, 11, 12, 20, 21, 22]
    for file in tmp_path.iterdir():
        shown = file.read_bytes()
        save(file, np.full((2, 2, 3), 20))
        with pytest.raises(InputError, match=f"{file.name}: found grey in three channels, expected one in colours"):
            CONDITIONS["geometry"].open(found["x"], 2)
        file.write_bytes(shown)
    save(tmp_path / "x_depth.png", np.zeros((2, 2, 3)))  # nothing is known
    assert not CONDITIONS["geometry"].open(found["x"], 2)[..., 3:].any()


class Drawer:
    """In place of a model: what it draws is black."""

    condition, resolution, num_classes = CONDITIONS["mask"], 2, 183
    drawn = 0

    def read(self, path):
        return opened(path, 2, 183)

    def __call__(self, ids, stored):
        self.drawn += len(ids)
        yield np.zeros((len(ids), 2, 2, 3), np.uint8)


@pytest.mark.parametrize("given, out", [("own/a.png", "own"), ("own", "own"), ("own", "linked"), ("link.png", "own")])
def test_translate_leaves_what_it_is_given(tmp_path, given, out):
    (tmp_path / "own").mkdir()
    before = save(tmp_path / "own/a.png", colour_map(256)[np.eye(2, dtype=int)]).read_bytes()
    save(tmp_path / "own/b.png", np.zeros((2, 2, 3)))
    (tmp_path / "linked").symlink_to("own")
    (tmp_path / "link.png").symlink_to("own/a.png")
    if given == "link.png":
        (tmp_path / "own/link.png").symlink_to("a.png")
    with pytest.raises(InputError, match=rf"/{out}/\w+\.png: found what was not drawn here, expected another folder"):
        translate(Drawer(), tmp_path / given, tmp_path / out, 1)
    assert (tmp_path / "own/a.png").read_bytes() == before
    translate(Drawer(), tmp_path / given, tmp_path / "new", 1)
    translate(Drawer(), tmp_path / given, tmp_path / "new", 1)  # pictures of before are drawn again


@pytest.mark.parametrize("there", ["photograph", "file", "folder"])
def test_translate_replaces_nothing_that_it_has_not_drawn(tmp_path, there):
    """Masks and photographs of a data set have the same names."""
    for folder in ("masks", "photographs"):
        (tmp_path / folder).mkdir()
    save(tmp_path / "masks/a.png", np.zeros((2, 2, 3)))
    own = tmp_path / "photographs/a.png"
    if there == "folder":
        own.mkdir()
    elif there == "photograph":
        save(own, np.full((2, 2, 3), 9))
    else:
        own.write_text("notes")
    before = own.stat().st_ino, own.stat().st_mtime_ns
    with pytest.raises(InputError, match=r"photographs/a\.png: found what was not drawn here, expected another folder"):
        translate(Drawer(), tmp_path / "masks", own.parent, 1)
    assert (own.stat().st_ino, own.stat().st_mtime_ns) == before


def test_the_weights_that_the_help_names_are_those_and_not_a_checkpoint(tmp_path, monkeypatch):
    """A training leaves its checkpoint beside what it has made."""
    monkeypatch.chdir(tmp_path)
    patterns = re.findall(r"--(?:model|upsampler) (results\S+)", cli.translate.__doc__)
    assert len(patterns) == 2
    for pattern in patterns:
        folder = Path(pattern.partition("*")[0])
        files = [folder / name for name in ("0123456789/weights.safetensors", "checkpoint-9876543210/best.safetensors")]
        for file in files:
            file.parent.mkdir(parents=True)
            file.touch()
        assert list(tmp_path.glob(pattern)) == [tmp_path / files[0]]


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_drawn(tmp_path):
    save(tmp_path / "a.png", colour_map(256)[np.eye(2, dtype=int)])
    (tmp_path / "file").write_text("")
    drawer = Drawer()
    for out in (tmp_path / "file", tmp_path / "file/below", Path("/proc")):
        with pytest.raises(OSError):
            translate(drawer, tmp_path / "a.png", out, 1)
    assert not drawer.drawn


@pytest.fixture
def models(tmp_path, smoke):
    """Weights that carry a card and nothing else: ours for sketches and masks, an upsampler, baselines."""
    rows = {
        "sketch": ("two_stage", "coco_sketch"),
        "mask": ("two_stage", "ade20k_mask"),
        "upsampler": ("upsampler", "ade20k_mask"),
        "spade": ("spade", "ade20k_mask"),
        "spade_sketch": ("spade", "coco_sketch"),
    }
    paths = {}
    for name, (row, task) in rows.items():
        paths[name] = tmp_path / f"{name}.safetensors"
        save_file({"w": np.zeros(1)}, paths[name], {"card": dumps(trained(smoke[0], row, task, 1.0, 0).card)})
    return paths


@pytest.mark.parametrize(
    "named, more, says",
    [
        ("sketch", "--task coco_mask", "--task: found coco_mask of condition mask, expected sketch ("),
        (
            "spade_sketch",
            "--task diode_geometry",
            "--task: found diode_geometry of condition geometry, expected sketch",
        ),
        ("spade", "--task coco_mask", "--task: found coco_mask with 183 classes, expected 151 ("),
        (
            "spade",
            "--upsampler {upsampler}",
            "upsampler.safetensors: found an upsampler beside a baseline",
        ),
        ("spade", "--void 0", "--void: found 0, expected none: the model does not use it"),
        ("spade", "--respacing abc", "--respacing: found abc, expected none: the model does not use it"),
        ("spade", "--guidance 3", "--guidance: found 3, expected none"),
        ("spade", "--sampler ddim", "--sampler: found ddim, expected none"),
        ("spade", "--normalise none", "--normalise: found none, expected none"),
        ("mask", "--upsampler-respacing 9", "--upsampler-respacing: found 9, expected none"),
        ("sketch", "--void 183", "--void: found 183, expected none"),
        ("", "--method ours --task coco_mask --upsampler /nope", "--upsampler: found /nope, expected it with --model"),
        ("mask", "--seed -1", "--seed: found -1, expected 0 to 4294967295"),
        ("spade", "--seed 4294967296", "--seed: found 4294967296, expected 0 to 4294967295"),
    ],
)
def test_translate_refuses_what_the_model_does_not_take(piti, capsys, models, named, more, says):
    model = ("--model", models[named]) if named else ()
    line = refused(
        capsys, piti, "translate", *model, *more.format(**models).split(), "--condition", "nowhere", "--out", "out"
    )
    assert says in line


def test_an_upsampler_of_another_base_model_is_refused(models, smoke):
    """Of another size it ends in the middle of the network, or, worse, draws."""
    card = trained(smoke[0], "upsampler", "ade20k_mask", 1.0, 0).card
    for changes, says in (
        ({"condition": "sketch"}, "condition: found sketch, expected mask as of "),
        ({"image_resolution": 64}, "image_resolution: found 64, expected 32 as of "),
        ({"base_resolution": 8}, "base_resolution: found 8, expected 16 as of "),
    ):
        save_file({"w": np.zeros(1)}, models["upsampler"], {"card": dumps(replace(card, **changes))})
        with pytest.raises(InputError, match=f"upsampler.safetensors: {says}.*mask.safetensors"):
            stages_of(models["mask"], models["upsampler"], SamplingConfig())


@pytest.mark.parametrize(
    "named, more",
    [
        ("mask", "--task ade20k_mask --upsampler {upsampler} --void 150 --respacing 2 --upsampler-respacing 2"),
        ("sketch", "--task coco_sketch --guidance 1 --sampler ddim --normalise none --seed 2"),
        ("spade", "--task ade20k_mask --seed 1"),
        ("spade_sketch", "--task flickr_sketch"),
    ],
)
def test_translate_takes_what_the_model_uses(models, named, more):
    parser = ArgumentParser()
    add_arguments(parser)
    given = ["--model", str(models[named]), *more.format(**models).split(), "--condition", "a", "--out", "b"]
    prepared(parser.parse_args(given), load({"preset": "smoke"}, CONFIG))


@pytest.mark.slow
def test_translate_takes_the_authors_weights_by_their_path(piti, capsys, tmp_path):
    networks, paths = load({"preset": "smoke"}, CONFIG).networks, {}
    for kind in ("base", "upsampler"):
        model = PITI(getattr(networks, kind), networks.encoder.with_channels(3))
        torch.save(tiny.stirred(model), tmp_path / f"{kind}.pt")
        paths[f"released_coco_mask_{kind}"] = {"path": str(tmp_path / f"{kind}.pt")}
    write_json(tmp_path / "mine.yaml", {"weights": paths})  # JSON is YAML
    mask = save(tmp_path / "mask.png", np.full((64, 64), 5))
    own = ("--condition", mask, "--out", tmp_path / "out", "--configfile", tmp_path / "mine.yaml")
    few = ("--respacing", "2", "--upsampler-respacing", "2")
    piti("translate", "--method", "released", "--task", "coco_mask", *own, *few)
    assert Image.open(tmp_path / "out/mask.png").size == (32, 32)
    (weights,) = tmp_path.glob("results/smoke/weights/released_coco_mask_base/*/weights.safetensors")
    assert weights.with_name("card.json").exists()
    assert "use --method released" in refused(capsys, piti, "translate", "--model", weights, *own)
    capsys.readouterr()
    whole = torch.load(tmp_path / "base.pt")
    torch.save(dict(list(whole.items())[1:]), tmp_path / "base.pt")
    released = ("translate", "--method", "released", "--task", "coco_mask", *own)
    assert "base.pt is not what" in refused(capsys, piti, *released)
    shutil.rmtree(tmp_path / "results")
    line = refused(capsys, piti, *released)
    assert "1 missing" in line and line.endswith(f"; converted from {tmp_path / 'base.pt'}")
    torch.save(whole, tmp_path / "base.pt")
    assert "have it converted again: rm -r results/" in refused(capsys, piti, *released)
    shutil.rmtree(tmp_path / "results")
    (tmp_path / "base.pt").write_bytes(b"damaged")
    assert "base.pt): found 7 bytes, expected PyTorch" in refused(capsys, piti, *released)


def test_translate_refuses_in_one_line(piti, capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    own = ("--condition", tmp_path / "empty", "--out", tmp_path / "out")
    assert "--method: unknown" in refused(capsys, piti, "translate", "--method", "our", "--task", "coco_mask", *own)
    assert "not there yet" in refused(capsys, piti, "translate", "--method", "ours", "--task", "coco_mask", *own)
    given = ("--method", "real_images", "--task", "coco_mask")
    assert "expected one that makes pictures" in refused(capsys, piti, "translate", *given, *own)
    line = refused(capsys, piti, "translate", "--method", "oasis", "--task", "diode_geometry", *own)
    assert "--task: found diode_geometry of condition geometry, expected mask (oasis)" in line
    assert "expected either" in refused(capsys, piti, "translate", *own)
    (tmp_path / "w.safetensors").write_text("no weights")
    assert "found no weights" in refused(capsys, piti, "translate", "--model", tmp_path / "w.safetensors", *own)
    assert not (tmp_path / "out").exists()


# -- pictures made elsewhere -------------------------------------------------------------------------------------------


@pytest.fixture
def scored(tmp_path, monkeypatch):
    """Test photographs and a folder of pictures of them, and the features of both as their steps would leave them."""
    config = load({"preset": "smoke"}, CONFIG)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "mine").mkdir()
    ids = [f"ADE_val_{i:08d}" for i in range(20)]
    rng = np.random.default_rng(0)
    photographs = packed(Plan(config), "ade20k", "test", "images")
    write(Path(photographs.path).parent, "images", ids, lambda i: np.zeros((len(i), 64, 64, 3), np.uint8), 32, 64)
    for i in ids:
        save(tmp_path / f"mine/{i}.png", rng.integers(0, 256, (32, 32, 3)))
    method = Method(label="mine", pictures={"ade20k_mask": "mine"})
    plan = Plan(replace(config, methods=config.methods | {"pictures": method}))
    for extractor in config.extractors.values():
        spec = Spec(extractor, "layer", 8, "", "")
        for pictures in (photographs, samples_of(plan, "pictures", "ade20k_mask", 1.0, 0)):
            values = rng.standard_normal((20, 8)).astype(np.float32)
            write_features(features_of(plan, pictures, extractor).path, Features(values, tuple(ids), spec))
    return tmp_path


def test_score_says_each_metric_in_one_line(piti, scored, capsys):
    lines = piti("score", "--pictures", "mine", "--task", "ade20k_mask").splitlines()
    assert [line.split(":")[0] for line in lines] == ["fid_c", "fid_i"]
    assert all("95 % interval" in line and "n = 20" in line and "reference " in line for line in lines)


def test_nothing_is_said_to_be_below_zero_by_rounding():
    said = {"value": 0.0, "interval": [-1e-13, -0.0], "n": 20, "reference": "r", "kid": -1e-9}
    line = spelt("fid_c", "FID ↓", said | {"extractor": {"name": "clip", "layer": "last"}})
    assert line.startswith("fid_c: FID ↓ 0.0000 (95 % interval 0.0000 to 0.0000), n = 20, KID 0.0000;")


def test_a_kid_has_the_digits_of_a_distance():
    """By EfficientNet-Lite0 it is in the hundreds, by VGG16 far below 1."""
    said = {"value": 1.0, "interval": [0, 2], "n": 20, "reference": "r", "extractor": {"name": "n", "layer": ""}}
    for kid, shown in ((389.46476, "389.5"), (0.0023, "0.0023")):
        assert f"n = 20, KID {shown};" in spelt("fid_c", "FD ↓", said | {"kid": kid})


def test_a_measure_that_no_network_reads_names_none():
    said = {"value": 1.0, "interval": [0, 2], "n": 20, "reference": "r", "extractor": {"name": "", "layer": "levels"}}
    assert spelt("brightness", "levels ↓", said).endswith("n = 20; reference r")


def test_score_takes_and_gives_references(piti, scored, capsys):
    given = ("--task", "ade20k_mask", "--metric", "fid_c")
    assert "mu and sigma of 20 real test images" in piti("score", *given, "--write-reference", "r.npz")
    own = piti("score", "--pictures", "mine", *given)
    theirs = piti("score", "--pictures", "mine", *given, "--reference", "r.npz")
    value = lambda line: float(line.split("↓ ")[1].split()[0])  # noqa: E731
    assert value(own) == pytest.approx(value(theirs), abs=0.02) and "reference r.npz" in theirs


def test_score_refuses_in_one_line(piti, scored, capsys):
    (scored / "mine/ADE_val_00000003.png").unlink()
    score = ("score", "--pictures", "mine", "--task")
    line = refused(capsys, piti, *score, "ade20k_mask")
    assert "found no picture of 1 (ADE_val_00000003) of 20 test images" in line
    assert "--task: unknown key 'ade20k'" in refused(capsys, piti, *score, "ade20k")
    assert "--metric: unknown key 'fid'" in refused(capsys, piti, *score, "ade20k_mask", "--metric", "fid")
    assert "expected whose reference" in refused(capsys, piti, *score, "ade20k_mask", "--reference", "r.npz")
    writing = ("score", "--task", "ade20k_mask", "--metric", "fid_c", "--write-reference", "r.npz")
    assert "--reference: found x, expected it with --p" in refused(capsys, piti, *writing, "--reference", "x")
    line = refused(capsys, piti, *score, "ade20k_mask", "--metric", "edge_f1")
    assert "--metric: found edge_f1, a measure for sketch, expected one for mask (ade20k_mask)" in line
    assert "try: snakemake results/smoke/" in refused(capsys, piti, *score, "diode_geometry")
    Path("mine.yaml").write_text("seeds: [3]\n")
    line = refused(capsys, piti, *score, "diode_geometry", "--configfile", "mine.yaml")
    assert line.endswith(" --configfile mine.yaml --config preset=smoke")


def test_a_home_that_the_shell_left_as_it_was_is_the_home(piti, capsys, monkeypatch):
    """As in --out=~/pictures: bash reads the ~ at the beginning of a word alone."""
    monkeypatch.setenv("HOME", "/nowhere/home")
    assert "/nowhere/home/theirs" in refused(capsys, piti, "import", "~/theirs")


def test_what_a_table_of_alignment_alone_takes_is_told(piti):
    """It has no distances, for whose sake the release would train."""
    rows, columns = {"ours": {"method": "ours"}}, {"m": {"metric": "mean_iou"}}
    table = {"title": "X", "run": {"task": "ade20k_mask"}, "rows": rows, "columns": columns}
    Path("mine.yaml").write_text(json.dumps({"tables": {"x": table}}))
    assert re.search(r"shared, once +\d", piti("plan", "x", "--configfile", "mine.yaml"))


def test_a_hint_is_a_command_of_the_same_configuration(piti, capsys):
    Path("my file.yaml").write_text("results: other\n")
    for command in (
        ("demo",),
        ("translate", "--method", "ours", "--task", "coco_mask", "--condition", "a", "--out", "b"),
    ):
        line = refused(capsys, piti, *command, "--configfile", "my file.yaml")
        assert line.endswith(" --configfile 'my file.yaml' --config preset=smoke")
