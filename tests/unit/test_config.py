"""Configuration: one order of authority, every key and name checked, refused in one line with the nearest valid one."""

import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from tests.house.pages import yaml as yaml_of

from piti.config import Config, load, merge, read_yaml
from piti.datasets.layouts import LAYOUTS
from piti.plan import resolve
from piti.store import provenance
from piti.store.files import InputError

SHIPPED = Path(__file__).parents[2] / "config"
PRESETS = sorted(path.stem for path in (SHIPPED / "presets").glob("*.yaml"))


@pytest.fixture
def folder(tmp_path):
    """What ships, and one more preset, which says nothing."""
    folder = shutil.copytree(SHIPPED, tmp_path / "config")
    (folder / "presets/tiny.yaml").touch()
    return folder


def add(folder: Path, name: str, data: dict) -> None:
    (folder / name).write_text(yaml.safe_dump(merge(read_yaml(folder / name), data)))


def refusal(user: dict, folder: Path = SHIPPED) -> str:
    with pytest.raises(InputError) as error:
        load(user, folder)
    assert "\n" not in str(error.value)
    return str(error.value)


# -- one order of authority --------------------------------------------------------------------------------------------


def test_user_over_preset_over_files_over_defaults(folder):
    assert load({"preset": "tiny"}, folder).sampling.guidance == Config().sampling.guidance
    add(folder, "models.yaml", {"sampling": {"guidance": 1.0, "eta": 0.1}})
    assert load({"preset": "tiny"}, folder).sampling.guidance == 1.0
    add(folder, "presets/tiny.yaml", {"sampling": {"guidance": 2.0}})
    assert load({"preset": "tiny"}, folder).sampling.guidance == 2.0
    config = load({"preset": "tiny", "sampling": {"guidance": 3.0}}, folder)
    assert config.sampling.guidance == 3.0
    assert config.sampling.eta == 0.1  # what upper layers leave alone stays


def test_the_other_presets_stay_out(folder):
    add(folder, "presets/tiny.yaml", {"shard_size": 1})
    assert load({}, folder).shard_size == Config().shard_size


def test_merge_joins_mappings_replaces_the_rest_and_changes_nothing():
    below, above = {"a": {"x": 1, "y": [1, 2]}, "b": 1}, {"a": {"y": [3]}, "b": {"z": 1}}
    assert merge(below, above) == {"a": {"x": 1, "y": [3]}, "b": {"z": 1}}
    assert below == {"a": {"x": 1, "y": [1, 2]}, "b": 1}
    assert above == {"a": {"y": [3]}, "b": {"z": 1}}


def test_nested_values_may_arrive_as_strings_of_yaml():
    as_strings = {"preset": "smoke", "models": "{stage1: {lr: 1e-3, steps: 7}}", "seeds": "[1, 2]", "min_images": "9"}
    config = load(as_strings, SHIPPED)
    assert (config.models["stage1"].lr, config.models["stage1"].steps) == (1e-3, 7)
    assert config.seeds == (1, 2)
    assert config.min_images == 9


# -- what ships --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_shipped_presets_resolve(preset):
    config = load({"preset": preset}, SHIPPED)
    assert config.preset == preset
    assert config.tables
    assert config.figures


def test_paper_is_the_default():
    assert load({}, SHIPPED) == load({"preset": "paper"}, SHIPPED)


def test_presets_keep_their_results_apart():
    assert len({load({"preset": preset}, SHIPPED).results for preset in PRESETS}) == len(PRESETS)


def test_presets_hold_amounts_and_sources_but_no_rows_tables_or_tasks():
    """A preset may change what a row says, not add or drop one: the matrix is the same everywhere."""
    configs = [load({"preset": preset}, SHIPPED) for preset in PRESETS]
    for section in ("weights", "models", "tasks", "methods", "extractors", "tables", "figures"):
        assert len({tuple(getattr(config, section)) for config in configs}) == 1, section
    data = [{*config.datasets} - {entry.validation for entry in config.datasets.values()} for config in configs]
    assert all(each == data[0] for each in data)


# -- like --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_a_row_is_like_another_as_all_layers_say_it(preset):
    """In each preset an ablation is what it ablates, but for the keys that its own row says."""
    user = {"preset": preset, "models": {"upsampler": {"steps": 77}, "mine": {"like": "upsampler", "lr": 2e-5}}}
    models = load(user, SHIPPED).models
    assert models["mine"] == replace(models["upsampler"], lr=2e-5) and models["mine"].steps == 77
    own = {"degradation": False, "perceptual": "", "adversarial": ""}
    assert models["upsampler_plain"] == replace(models["upsampler"], **own)


def test_like_goes_along_a_chain_and_into_mappings_and_ones_own_keys_win():
    user = {
        "methods": {
            "one": {"like": "ours_cf_w4", "sampling": {"eta": 0.5}},
            "two": {"label": "Two", "like": "one", "sampling": {"guidance": 7}},
        },
        "figures": {"mine": {"like": "figure8", "images": 2}},
        "datasets": {"mine": {"like": "flickr", "train": 9}},
    }
    config = load(user, SHIPPED)
    sampling = config.methods["two"].sampling
    assert (sampling.guidance, sampling.eta, sampling.normalise) == (7, 0.5, "none")
    assert (config.methods["two"].label, config.methods["two"].base) == ("Two", "two_stage")
    assert config.figures["mine"] == replace(config.figures["figure7"], images=2, page=1)
    assert config.datasets["mine"] == replace(config.datasets["flickr"], train=9)


@pytest.mark.parametrize(
    ("user", "line"),
    [
        ({"models": {"a": {"like": "upsamplr"}}}, "models.a.like: unknown key 'upsamplr'; nearest valid key: upsa"),
        ({"tables": {"a": {"like": ["table1"]}}}, "tables.a.like: unknown key \"['table1']\"; nearest valid key: "),
        (
            {"models": {"a": {"like": "b"}, "b": {"like": "c"}, "c": {"like": "a"}}},
            "models.c.like: found a circle (a <- b <- c <- a)",
        ),
        ({"tasks": {"a": {"like": "a"}}}, "tasks.a.like: found a circle (a <- a)"),
        ({"machine": {"like": "x"}}, "machine: unknown key 'like'; nearest valid key: "),
    ],
)
def test_like_refuses_circles_and_unknown_names(user, line):
    assert refusal(user).startswith(line)


# -- recipes -----------------------------------------------------------------------------------------------------------

(ABLATION,), (DATASET,) = yaml_of("docs/add-something.md", "my_row"), yaml_of("docs/own-data.md", "mine_mask")


@pytest.mark.parametrize("preset", ["smoke", "claims", "paper"])  # the others run no Table 3b
def test_the_recipe_of_an_ablation(preset):
    config = load(yaml.safe_load(ABLATION) | {"preset": preset}, SHIPPED)
    plan, tables, _ = resolve(config)
    (mine,) = {a.card.training for a in plan.artefacts.values() if a.step == "train" and "my_row" in a.name}
    (theirs,) = {
        a.card.training
        for a in plan.artefacts.values()
        if a.step == "train" and a.name == "upsampler-ade20k_mask" and a.card.fraction == 1
    }
    assert mine == replace(theirs, lr=2e-5)
    assert [cell.reason for cell in tables["table3b"].card.cells if cell.row == "Ours with 2e-5"] == [""]


@pytest.mark.parametrize("preset", PRESETS)
def test_the_recipe_of_a_data_set(preset):
    plan, tables, _ = resolve(load(yaml.safe_load(DATASET) | {"preset": preset}, SHIPPED))
    assert [cell.reason for cell in tables["mine"].card.cells] == ["", ""]
    spade, *_ = [a.card for a in plan.artefacts.values() if a.step == "train" and a.name == "spade-mine_mask"]
    row = plan.config.models["spade"]
    assert (spade.epochs, spade.baseline.decay) == (0 if row.steps else 200, row.decay["default"])
    assert spade.training.steps == (row.steps or math.ceil(200 * 5000 / 32))


def test_a_data_set_that_is_named_has_its_own_epochs():
    plan, *_ = resolve(load({}, SHIPPED))
    cards = {a.name: a.card for a in plan.artefacts.values() if a.step == "train" and a.card.baseline}
    said = {name: (cards[name].epochs, cards[name].baseline.decay) for name in cards if cards[name].fraction == 1}
    assert said["spade-coco_mask"] == (100, 0) and said["spade-diode_geometry"] == (200, 0.5)
    assert said["oasis-ade20k_mask"] == (200, 0)


@pytest.mark.parametrize(
    ("user", "line"),
    [
        ({"datasets": {"default": {"like": "coco"}}}, "datasets.default: found a data set of this name, expected "),
        ({"models": {"new": {"kind": "spade"}}}, "models.new.epochs: found no key default, expected it, or steps"),
        (
            {"models": {"prior_base": {"weights": "", "dataset": ""}}},
            "models.prior_base.dataset: found none, expected ",
        ),
    ],
)
def test_what_is_keyed_by_data_set_has_a_default(user, line):
    assert refusal(user).startswith(line)


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "line"),
    [
        ({"presett": "smoke"}, "config: unknown key 'presett'; nearest valid key: preset"),
        ({"models": {"stage1": {"setps": 3}}}, "models.stage1: unknown key 'setps'; nearest valid key: steps"),
        ({"models": "{stage1: {setps: 3}}"}, "models.stage1: unknown key 'setps'; nearest valid key: steps"),
        ({"machine": {"thread": 1}}, "machine: unknown key 'thread'; nearest valid key: threads"),
        ({"networks": {"base": {"dropuot": 0}}}, "networks.base: unknown key 'dropuot'; nearest valid key: dropout"),
        (
            {"datasets": {"coco": {"archives": {"a.zip": {"url": [], "byte": 1}}}}},
            "datasets.coco.archives.a.zip: unknown key 'byte'; nearest valid key: bytes",
        ),
    ],
)
def test_mistyped_key(user, line):
    assert refusal(user) == line


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({"sampling": {"base_respacing": "abc"}}, "sampling.base_respacing: respacing: found 'abc' for 1000 steps, "),
        ({"sampling": {"base_respacing": 1001}}, "sampling.base_respacing: respacing: found '1001' for 1000 steps, "),
        ({"sampling": {"upsampler_respacing": "fast28"}}, "sampling.upsampler_respacing: respacing: found 'fast28'"),
        (
            {"methods": {"ours": {"sampling": {"base_respacing": 0}}}},
            "methods.ours.sampling.base_respacing: respacing: found '0'",
        ),
        ({"models": {"stage1": {"ema_rate": 1}}}, "models.stage1: ema_rate: found 1.0, expected 0 to 1"),
        ({"models": {"stage1": {"ema_rate": 9999}}}, "models.stage1: ema_rate: found 9999.0, expected 0 to 1"),
        ({"models": {"stage1": {"batch": 0}}}, "models.stage1: batch: found 0, expected 1 or more"),
        ({"models": {"stage1": {"steps": -1}}}, "models.stage1: steps: found -1, expected 0 or more"),
        (
            {"models": {"stage1": {"condition_dropout": 20}}},
            "models.stage1: condition_dropout: found 20.0, expected 0 to",
        ),
        ({"models": {"released_base": {"void": 256}}}, "models.released_base: void: found 256, expected 0 to 255"),
        ({"sampling": {"guidance": -1}}, ": guidance: found -1.0, expected 0 or more"),
        ({"datasets": {"coco": {"num_classes": 999}}}, "datasets.coco: num_classes: found 999, expected 0 to 255"),
        ({"datasets": {"diode": {"depth_unit": "inch"}}}, "datasets.diode.depth_unit: found 'inch', expected one of m"),
        ({"machine": {"micro_batch": 0}}, "machine: micro_batch: found 0, expected 1 or more"),
        ({"machine": {"sample_batch": 0}}, "machine: sample_batch: found 0, expected 1 or more"),
        ({"machine": {"gpus": -1}}, "machine: gpus: found -1, expected 0 or more"),
        ({"sample_shard_size": 0}, "sample_shard_size: found 0, expected 1 or more"),
        ({"networks": {"base_resolution": 0}}, "networks: base_resolution: found 0, expected 1 or more"),
        ({"networks": {"image_resolution": 512}}, "networks: load_resolution: found 286, expected 512 or more"),
        ({"seeds": [0, 0]}, "seeds: found [0, 0], expected each once"),
        ({"figures": {"figure1": {"seeds": [0, 0]}}}, "figures.figure1: seeds: found [0, 0], expected each once"),
        ({"tables": {"table1": {"run": {"seeds": [1, 1]}}}}, "tables.table1.run: seeds: found [1, 1], expected each"),
        ({"claims": {"finetuning": {"seeds": [0, 0]}}}, "claims.finetuning: seeds: found [0, 0], expected each once"),
        ({"figures": {"figure1": {"images": 0}}}, "figures.figure1: images: found 0, expected 1 or more"),
        ({"figures": {"figure1": {"wrap": -1}}}, "figures.figure1: wrap: found -1, expected 0 or more"),
        ({"figures": {"figure1": {"crop": 2}}}, "figures.figure1: crop: found 2.0, expected 0 to 1"),
        ({"study": {"pairs": -1}}, "study: pairs: found -1, expected 1 or more"),
    ],
)
def test_numbers_that_cannot_be_meant(user, words):
    assert words in refusal(user)


@pytest.mark.parametrize(
    ("user", "line"),
    [
        ({"models": {"stage1": {"steps": "many"}}}, "models.stage1.steps: found 'many', expected a whole number"),
        ({"models": {"stage1": {"lr": True}}}, "models.stage1.lr: found True, expected a number"),
        ({"models": 3}, "models: found 3, expected keys and values"),
        ({"seeds": 0}, "seeds: found 0, expected a list"),
        ({"comparable": "perhaps"}, "comparable: found 'perhaps', expected true or false"),
        (
            {"tasks": {"ade20k_mask": {"condition": "msk"}}},
            "tasks.ade20k_mask.condition: found 'msk', expected one of mask, ",
        ),
    ],
)
def test_wrong_type(user, line):
    assert refusal(user).startswith(line)


def test_a_row_without_what_it_needs():
    assert refusal({"models": {"new": {}}}).startswith("models.new.kind: missing (expected one of prior_base")


@pytest.mark.parametrize("preset", ["paperr", 3, None, ["paper"]])
def test_unknown_preset(preset):
    assert refusal({"preset": preset}) == f"preset: found {preset!r}, expected one of {', '.join(PRESETS)}"


@pytest.mark.parametrize(
    ("user", "line"),
    [
        ({"models": {"two_stage": {"init": "stage11"}}}, "models.two_stage.init: unknown key 'stage11'; "),
        ({"models": {"stage1": {"weights": "glide"}}}, "models.stage1.weights: unknown key 'glide'; "),
        ({"tasks": {"ade20k_mask": {"dataset": "ade"}}}, "tasks.ade20k_mask.dataset: unknown key 'ade'; "),
        ({"methods": {"ours": {"base": "tow_stage"}}}, "methods.ours.base: unknown key 'tow_stage'; "),
        ({"methods": {"ours": {"upsampler": "up"}}}, "methods.ours.upsampler: unknown key 'up'; "),
        ({"extractors": {"fid_c": "clip"}}, "extractors.fid_c: found 'clip', expected one of inception, "),
        ({"networks": {"hed": "hd"}}, "networks.hed: unknown key 'hd'; nearest valid key: hed"),
        (
            {"tables": {"table1": {"rows": {"ours": {"method": "our"}}}}},
            "tables.table1.rows.ours.method: unknown key 'our'",
        ),
        ({"tables": {"table1": {"run": {"metric": "fid"}}}}, "tables.table1.run.metric: unknown key 'fid'; "),
        ({"tables": {"table1": {"paper": {"us": []}}}}, "tables.table1.paper: unknown key 'us'; "),
        ({"figures": {"figure3": {"tasks": ["coco"]}}}, "figures.figure3.tasks: unknown key 'coco'; "),
        ({"figures": {"figure3": {"columns": ["our"]}}}, "figures.figure3.columns: unknown key 'our'; "),
        ({"models": {"prior_base": {"dataset": "wbe"}}}, "models.prior_base.dataset: unknown key 'wbe'; nearest"),
        ({"models": {"spade": {"epochs": {"cocoo": 3}}}}, "models.spade.epochs: unknown key 'cocoo'; nearest"),
        ({"models": {"spade": {"decay": {"cocoo": 0.1}}}}, "models.spade.decay: unknown key 'cocoo'; nearest"),
        ({"models": {"spade": {"instances": ["cocoo"]}}}, "models.spade.instances: unknown key 'cocoo'; nearest"),
        ({"models": {"spade": {"kind": "sapde"}}}, "models.spade.kind: found 'sapde', expected one of prior_base, "),
        ({"networks": {"baselines": {"spad": {}}}}, "networks.baselines: unknown key 'spad'; nearest valid key: spade"),
        ({"networks": {"baselines": {"spade": {"nfg": 1}}}}, "networks.baselines.spade: unknown key 'nfg'; nearest"),
        ({"claims": {"upsampling": {"tasks": ["ade"]}}}, "claims.upsampling.tasks: unknown key 'ade'; "),
        ({"study": {"against": {"sapde": "1"}}}, "study.against: unknown key 'sapde'; nearest valid key: spade"),
        ({"figures": {"figure3": {"ids": {"ade": ["a"]}}}}, "figures.figure3.ids: unknown key 'ade'; "),
        ({"figures": {"figure21": {"worst": "iou"}}}, "figures.figure21.worst: found 'iou', expected one of "),
        ({"tasks": {"coco_mask": {"dataset": ""}}}, "tasks.coco_mask.dataset: unknown key ''"),
        ({"claims": {"upsampling": {"metric": ""}}}, "claims.upsampling.metric: found none, expected one of metrics"),
        ({"study": {"task": ""}}, "study.task: unknown key ''"),
    ],
)
def test_unknown_name(user, line):
    assert refusal(user).startswith(line)


def test_what_ends_a_training_is_not_what_it_is_scored_on():
    """As where one's own pictures stand in for the scenes that a preset draws: `like` takes the folder over."""
    line = "datasets.ade20k.validation: found ade20k_validation, the same test pictures, expected others, or none"
    own = {"path": "/data/ade20k"}
    assert refusal({"preset": "claims", "datasets": {"ade20k": own}}) == line
    assert refusal({"preset": "claims", "datasets": {"ade20k_validation": {"scenes": {"seed": 21}}}}) == line
    load({"preset": "claims", "datasets": {"ade20k": own | {"validation": ""}}}, SHIPPED)


def test_a_method_has_the_sampling_of_all_but_for_its_own_keys():
    user = {"sampling": {"eta": 0.5}, "methods": {"scratch": {"sampling": {"guidance": 4}}}}
    config = load(user | {"preset": "smoke"}, SHIPPED)
    assert config.methods["scratch"].sampling == replace(config.sampling, guidance=4.0)
    assert (config.sampling.eta, config.sampling.guidance, config.sampling.base_respacing) == (0.5, 2.0, "20")
    assert config.methods["ours"].sampling == config.sampling


def test_a_wrong_key_of_a_methods_sampling_is_refused():
    assert "sampling: unknown key 'w'" in refusal({"methods": {"ours": {"sampling": {"w": 4}}}})
    assert refusal({"methods": {"ours": 4}}).startswith("methods.ours: ")


def test_a_figure_of_few_images_has_no_baseline():
    line = refusal({"figures": {"figure19": {"columns": ["ours", "spade"]}}})
    assert line == "figures.figure19.seeds: found spade, expected diffusion models alone"


@pytest.mark.parametrize(
    ("figure", "line"),
    [
        ({"columns": ["ours"]}, "figures.figure20.columns: found ours, expected diffusion models with ddim, eta 0"),
        ({"columns": ["spade"]}, "figures.figure20.columns: found spade, expected diffusion models with ddim, eta 0"),
        ({"tasks": ["coco_sketch"]}, "figures.figure20.tasks: found coco_sketch, expected one with labels, which"),
        ({"edits": {"removal": {"operation": "rub"}}}, "figures.figure20.edits.removal.operation: found 'rub', "),
        ({"edits": {"removal": {"label": -1}}}, "figures.figure20.edits.removal.label: found -1, expected 0 to"),
        ({"edits": {"removal": {"to": 151}}}, "figures.figure20.edits.removal.to: found 151, expected 0 to 150 (ade2"),
    ],
)
def test_edits_are_of_masks_and_deterministic(figure, line):
    assert refusal({"figures": {"figure20": figure}}).startswith(line)


def test_the_papers_numbers_must_fill_their_row():
    line = refusal({"tables": {"table1": {"paper": {"ours": ["8.9"]}}}})
    assert line.startswith("tables.table1.paper.ours: found 1 values, expected ")


def test_what_need_not_be_named_may_be_empty():
    """Who draws no sketches needs no HED."""
    assert load({"networks": {"hed": ""}}, SHIPPED).networks.hed == ""


@pytest.mark.parametrize("key", ["method", "task", "metric"])
def test_a_cell_must_say_what_it_measures(key):
    said = {"method": "ours", "task": "coco_mask", "metric": "fid_c"} | {key: ""}
    table = {"title": "Mine", "rows": {"a": {"method": said["method"]}}, "columns": {"b": said}}
    assert refusal({"tables": {"mine": table}}) == f"tables.mine: a, b: {key}: found none, expected one of {key}s"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("datasets: {a: 1}\nseeds: [0]\ndatasets: {b: 2}\n", "line 3: key 'datasets': found it in line 1 too"),
        ("models:\n  a: {steps: 1,\n      steps: 2}\n", "line 3: key 'steps': found it in line 2 too"),
        ("list:\n- {x: 1, x: 1}\n", "line 2: key 'x': found it in line 2 too"),
    ],
)
def test_a_key_that_is_there_twice_is_refused(folder, text, line):
    """Its first block would be forgotten without a word."""
    (folder / "config.yaml").write_text(text)
    with pytest.raises(InputError, match=f"^{folder}/config.yaml: {line}, expected it once$"):
        read_yaml(folder / "config.yaml")


def test_null_may_come_as_a_word():
    """As Snakemake reads it from its --config."""
    config = load({"datasets": {"flickr": {"scenes": "null", "path": "/data"}}}, SHIPPED)
    assert config.datasets["flickr"].scenes is None


def test_a_size_that_a_baseline_cannot_have_is_one_line():
    sizes = {"image_resolution": 96, "base_resolution": 48, "encoder": {"resolution": 96}}
    with pytest.raises(
        InputError, match=r"networks\.baselines\.oasis: resolution: found 96, expected a multiple of 64"
    ):
        resolve(load({"networks": sizes}, SHIPPED))


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\t", "!!python/object/apply:os.getcwd []"])
def test_broken_or_unsafe_yaml_is_refused_with_its_file(folder, text):
    (folder / "models.yaml").write_text(text)
    assert refusal({}, folder).startswith(f"{folder / 'models.yaml'}: not YAML (")


def test_a_missing_file_is_named(folder):
    with pytest.raises(InputError, match="no such file"):
        read_yaml(folder / "nowhere.yaml")


def test_an_empty_file_says_nothing(folder):
    assert read_yaml(folder / "presets/tiny.yaml") == {}


def test_text_stays_text():
    assert load({"preset": "smoke", "note": "a note: with a colon"}, SHIPPED).note == "a note: with a colon"


EMPTY = {"title": "t", "rows": {}, "columns": {"fid": {}}, "run": {"metric": "fid_c"}}
SEEN = {"title": "t", "tasks": ["ade20k_mask"], "columns": ["condition"]}


@pytest.mark.parametrize(
    "user, says",
    [
        ({"models": "{stage1: ["}, "models: not YAML"),
        ({"models": {"stage1": {"init": "two_stage"}}}, "found a circle"),
        ({"machine": {"gpus": "many"}}, "machine.gpus"),
        ({"seeds": []}, "seeds: found none"),
        (
            {"models": {"prior_base": {"weights": "", "init": "prior_upsampler"}}},
            "models.prior_base.init: found prior_up",
        ),
        (
            {"models": {"spade": {"converge_from": 4, "steps": 7}}},
            r"steps: found 7, expected converge_from \(4\), or 2, 4",
        ),
        ({"claims": {"finetuning": {"order": [{"method": "ours"}]}}}, "claims.finetuning.order: found 1 runs"),
        (
            {"claims": {"finetuning": {"order": [{"method": "ours"}, {"method": "scratch", "metric": "fid_i"}]}}},
            r"claims.finetuning.order\[1\].metric: found fid_i, expected it in the claim's own metric",
        ),
        (
            {"claims": {"finetuning": {"order": [{"method": "ours"}, {"fraction": 0.5}]}}},
            r"claims.finetuning.order\[1\].method: found none, expected one of methods",
        ),
        (
            {"tables": {"table3a": {"rows": {"one_stage": {"metric": "fid_c"}}}}},
            "tables.table3a.rows.one_stage.metric: ",
        ),
        ({"tables": {"mine": EMPTY}}, "tables.mine.rows: found none"),
        (
            {"figures": {"mine": SEEN | {"columns": ["low_res"]}}},
            "figures.mine.columns: found low_res, expected a method",
        ),
        ({"figures": {"mine": SEEN | {"worst": "mean_iou"}}}, "figures.mine.worst: found one, expected a method"),
        ({"metric_check": {"strengths": []}}, r"metric_check: strengths: found \[\], expected one or more"),
        ({"metric_check": {"strengths": [0, 1]}}, r"strengths: found \[0.0, 1.0\], expected one or more, above 0"),
        (
            {"metric_check": {"strengths": [0.8, 0.4]}},
            r"strengths: found \[0.8, 0.4\], expected one or more, .* rising",
        ),
        ({"seeds": [0, -1]}, r"seeds\[1\]: found -1, expected 0 to 4294967295"),
        ({"seeds": [2**32]}, r"seeds\[0\]: found 4294967296, expected 0 to 4294967295"),
        ({"study": {"seed": -1}}, "study.seed: found -1, expected 0 to"),
        ({"datasets": {"coco": {"scenes": {"seed": -1}}}}, "datasets.coco.scenes.seed: found -1, expected 0 to"),
        (
            {"claims": {"finetuning": {"order": [{"method": "ours", "seeds": [-1]}] * 2}}},
            r"order\[0\].seeds\[0\]: found -1",
        ),
        ({"models": {"spade": {"condition_dropout": 0.2}}}, "models.spade.condition_dropout: found 0.2 for spade, exp"),
        ({"models": {"estimator": {"condition_dropout": 1}}}, "condition_dropout: found 1 for estimator, expected 0: "),
        ({"models": {"prior_base": {"weights": "", "trainable": "encoder"}}}, "models.prior_base.trainable: found enc"),
        ({"networks": {"base_resolution": 12}}, r"image_resolution: found 32, expected a multiple of 12 \(base_resol"),
        ({"networks": {"base_resolution": 2}}, r"networks.base_resolution: found 2, expected a multiple of 4 \(base\)"),
        ({"networks": {"upsampler": {"patch_size": 16}}}, "image_resolution: found 32, expected a multiple of 64"),
        ({"networks": {"encoder": {"resolution": 64}}}, "networks.encoder.resolution: found 64, expected 32"),
        ({"networks": {"encoder": {"strides": 6}}}, "image_resolution: found 32, expected a multiple of 64"),
        ({"networks": {"encoder": {"heads": 5}}}, "networks.encoder.width: found 64, expected a multiple of 5"),
        ({"networks": {"base": {"token_width": 32}}}, "networks.base.token_width: found 32, expected 64"),
        ({"networks": {"base": {"norm_groups": 0}}}, "networks.base.norm_groups: found 0, expected 1 or more"),
        ({"networks": {"encoder": {"layers": -1}}}, "networks.encoder.layers: found -1, expected 1 or more"),
        ({"networks": {"baselines": {"spade": {"lambda_vgg": -1}}}}, "spade.lambda_vgg: found -1, expected 0 or more"),
        ({"networks": {"upsampler": {"num_head_channels": 48}}}, r"\[2\]: found 64, expected a multiple of 48 \(num_h"),
        ({"models": {"upsampler": {"diffusion_steps": 20}}}, "diffusion_steps: found 20, expected 21 or more"),
        ({"preset": "prior", "networks": {"text": {"width": 32}}}, "networks.text.width: found 32, expected 64"),
        (
            {"datasets": {"coco": {"version": 1.10}}},
            "datasets.coco.version: found the number 1.1, expected text: write",
        ),
        (
            {"tables": {"table1.long": {"like": "table1"}}},
            "tables.table1.long: found a name in .long, expected another",
        ),
        ({"models": {"new": {"kind": "base"}}}, "models.new.steps: found none, expected how long it trains"),
        ({"models": {"two_stage": {"init": "upsampler"}}}, "models.two_stage.init: found upsampler, whose kind is ups"),
        ({"models": {"oasis": {"init": "spade"}}}, "models.oasis.init: found spade, whose kind is spade, expected oas"),
        ({"methods": {"new": {"label": "n", "like": "spade", "base": "two_stage"}}}, "new: found generator and base, "),
        ({"methods": {"ours": {"base": "spade"}}}, "methods.ours.base: found spade, whose kind is spade, expected ba"),
        ({"methods": {"ours": {"base": "upsampler"}}}, "ours.base: found upsampler, whose kind is upsampler, expected"),
        ({"methods": {"spade": {"generator": "estimator"}}}, "spade.generator: found estimator, whose kind is estima"),
        ({"methods": {"spade": {"upsampler": "upsampler"}}}, "spade.upsampler: found upsampler, expected none beside "),
        ({"estimators": {"mask": "two_stage"}}, "estimators.mask: found two_stage, whose kind is base, expected estim"),
        ({"extractors": {"mean_iou": "vgg16"}}, "extractors.mean_iou: found a measure's name, expected another"),
        ({"left_out": ""}, "left_out: found nothing, expected what the cells say"),
        (
            {
                "claims": {
                    "finetuning": {"order": [{"method": "ours"}, {"method": "scratch", "seeds": [1]}], "seeds": [0]}
                }
            },
            r"claims.finetuning.order\[1\].seeds: found \[1\], expected none beside the claim's own seeds",
        ),
        (
            {"figures": {"mine": SEEN | {"columns": ["low_res", "spade"]}}},
            "figures.mine.columns: found low_res, expected a base model behind spade",
        ),
        (
            {"figures": {"mine": SEEN | {"columns": ["ours"], "worst": "mean_iou", "seeds": [1]}}},
            "figures.mine.worst: found one beside seeds, expected one of them",
        ),
        ({"fractions": [2]}, r"fractions\[0\]: found 2(.0)?, expected 0.001 to 1"),
        ({"fractions": [1, 0]}, r"fractions\[1\]: found 0(.0)?, expected 0.001 to 1"),
        ({"results": "/x/a{b}"}, "results: found '/x/a{b}', expected a folder without braces, and no ~ before it"),
        ({"downloads": "a}"}, "downloads: found 'a}', expected a folder"),
        ({"results": "~/x"}, "results: found '~/x', expected a folder"),
        ({"results": "~me/x"}, "results: found '~me/x', expected a folder"),
        ({"results": ""}, "results: found '', expected a folder"),
    ],
)
def test_what_would_break_later_is_refused_at_once(user, says):
    with pytest.raises(InputError, match=says) as refusal:
        load({"preset": "smoke"} | user, SHIPPED)
    assert "\n" not in str(refusal.value)


# -- plug-ins ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A module in the folder where one works."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])  # before the folders where other tests have worked
    (tmp_path / "toy_plugin.py").write_text("x = 1\n")
    sys.modules.pop("toy_plugin", None)  # another test's module of this name lay elsewhere
    provenance._file.cache_clear()
    provenance._read.cache_clear()
    yield tmp_path / "toy_plugin.py"
    sys.modules.pop("toy_plugin", None)


def test_plugins_are_loaded_before_anything_is_checked(plugin):
    assert refusal({"models": 3}).startswith("models: ") and "toy_plugin" not in sys.modules
    assert refusal({"plugins": ["toy_plugin"], "models": 3}).startswith("models: ") and "toy_plugin" in sys.modules


def test_plugins_may_come_from_any_layer_and_be_typed(plugin, folder):
    assert load({"plugins": "[toy_plugin]"}, SHIPPED).plugins == ("toy_plugin",)
    add(folder, "presets/tiny.yaml", {"plugins": ["toy_plugin"]})
    del sys.modules["toy_plugin"]
    assert load({"preset": "tiny"}, folder).plugins == ("toy_plugin",) and "toy_plugin" in sys.modules


@pytest.mark.parametrize(
    ("plugins", "line"),
    [
        (["absent"], "plugins: found no module absent, expected one below "),
        ("toy_plugin", "plugins: found 'toy_plugin', expected a list"),
        ([[]], "plugins[0]: found [], expected text"),
        (["../toys"], "plugins: found '../toys', expected a module's name, as Python imports it"),
        ([""], "plugins: found '', expected a module's name"),
        (["broken_plugin"], "plugins: broken_plugin: "),
    ],
)
def test_wrong_plugins_are_refused(plugin, plugins, line):
    plugin.with_name("broken_plugin.py").write_text("x = (\n")
    assert refusal({"plugins": plugins}).startswith(line)


def test_the_code_of_plugins_is_part_of_the_cards_where_code_is(plugin):
    def codes(**user) -> set[str]:
        plan, *_ = resolve(load({"preset": "smoke", "code_in_card": True} | user, SHIPPED))
        return {artefact.card.code for artefact in plan.artefacts.values() if artefact.step == "train"}

    plain, plugged = codes(), codes(plugins=["toy_plugin"])
    assert len(plain) == len(plugged) == 1 and plain != plugged
    plugin.write_text("x = 2\n")
    provenance._read.cache_clear()
    assert codes(plugins=["toy_plugin"]) not in (plain, plugged)


@pytest.mark.parametrize(
    ("user", "line"),
    [
        (
            {"models": {"spade": {"views": {"sketch": "distanse"}}}},
            "models.spade.views.sketch: unknown key 'distanse'; nea",
        ),
        ({"models": {"spade": {"views": {"mask": "distance"}}}}, "models.spade.views.mask: unknown key 'distance'"),
        (
            {"methods": {"oasis": {"conditions": ["sketch"]}}},
            "methods.oasis.conditions: found sketch, expected what oasis",
        ),
        ({"estimators": {"sketch": "estimator"}}, "estimators.sketch: found a condition that no estimator predicts"),
        ({"estimators": {"mosk": "estimator"}}, "estimators: found 'mosk', expected one of mask"),
    ],
)
def test_a_kind_is_not_asked_for_what_it_does_not_say(user, line):
    assert refusal(user).startswith(line)


def test_scenes_need_a_layout_that_somebody_writes(monkeypatch):
    monkeypatch.setitem(LAYOUTS, "bare", replace(LAYOUTS["folder"], name="bare", writer=""))
    assert refusal({"preset": "smoke", "datasets": {"coco": {"layout": "bare"}}}).startswith(
        "datasets.coco.scenes: found layout bare"
    )


def test_a_measure_without_an_estimator_is_a_cell_that_says_so():
    user = {"preset": "smoke", "estimators": {}}
    _, tables, _ = resolve(replace(load(user, SHIPPED), estimators={}))
    cells = [cell for cell in tables["table3a"].card.cells if cell.extractor == "mean_iou"]
    assert {cell.reason for cell in cells} == {"no estimator configured for mask"}


@pytest.mark.parametrize(("utf8", "code"), [("0", 2), ("1", 0)])
def test_another_locale_than_utf_8_is_refused_in_one_line(utf8, code):
    """Tables could not be written there, and names of files would be other ids than for everybody else."""
    plain = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": utf8}
    command = [sys.executable, "-m", "piti", "plan", "table1", "--config", "preset=smoke"]
    done = subprocess.run(command, cwd=SHIPPED.parent, env=plain, capture_output=True, text=True)
    assert done.returncode == code
    line = "error: locale: found ascii for text and for names of files, expected UTF-8: export PYTHONUTF8=1\n"
    assert done.stderr == line * (code == 2)


@pytest.mark.parametrize("written", ["out/new/", "./out/new", "out//new"])
def test_a_folder_is_the_same_however_its_path_is_written(written):
    """Snakemake compares paths as text: a slash at the end, as shells complete it, would be another folder."""
    config = load({"preset": "smoke", "results": written, "downloads": written}, SHIPPED)
    assert config.results == config.downloads == "out/new"
