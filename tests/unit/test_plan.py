"""The plan: what a change of the configuration makes anew, what it keeps, and what it cannot make."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.house.pin import SHOWN, costly

from piti.cards import Cell
from piti.config import load
from piti.datasets import listing
from piti.plan import Plan, Unavailable, models, report, resolve
from piti.plan.data import packed
from piti.store.files import InputError

SHIPPED = Path(__file__).parents[2] / "config"
PRESETS = sorted(path.stem for path in (SHIPPED / "presets").glob("*.yaml"))
WITH_TASKS = [preset for preset in PRESETS if preset != "prior"]  # which runs none
TASK = "ade20k_mask"


def plan(**user) -> Plan:
    """Everything that the shipped configuration asks for, with changes."""
    return resolve(load(user, SHIPPED))[0]


def moved(before: Plan, after: Plan) -> set[str]:
    """The names whose digests differ between two plans."""
    old, new = costly(before), costly(after)
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def made_from(of: Plan, *names: str) -> set[str]:
    """These names and the names of everything that is made from them, directly or not."""
    artefacts = list(of.artefacts.values())
    found = {a.path for a in artefacts if f"{a.leg}/{a.name}" in names}
    assert found
    while True:
        more = {a.path for a in artefacts if found & {p for paths in a.inputs.values() for p in paths}} | found
        if more == found:
            return {f"{a.leg}/{a.name}" for a in artefacts if a.path in found and a.leg not in SHOWN}
        found = more


@pytest.fixture(scope="module")
def paper() -> Plan:
    return plan()


def cells(**user) -> dict[tuple[str, str], Cell]:
    """The cells of Table 1 by row and column."""
    _, tables, _ = resolve(load(user, SHIPPED))
    return {(cell.row, cell.column): cell for cell in tables["table1"].card.cells}


def test_scenes_that_are_not_stored_train_a_prior_and_nothing_else():
    of = Plan(load({"preset": "prior"}, SHIPPED))
    made = [models.trained(of, row, "", 1.0, 0) for row in ("prior_base", "prior_upsampler")]
    assert list(of.artefacts.values()) == made  # neither scenes nor shards
    assert all(a.card.synthetic.style == "middle" and not a.inputs for a in made)
    with pytest.raises(Unavailable, match="its scenes are not stored"):
        packed(of, "web", "train", "images")


# -- every preset ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_paths_hold_their_digest_and_nothing_is_made_twice(preset):
    made = plan(preset=preset)
    paths = [artefact.path for artefact in made.artefacts.values()]
    assert len(paths) == len(set(paths))
    for (step, digest), artefact in made.artefacts.items():
        assert (artefact.step, artefact.digest) == (step, digest)
        assert artefact.path.split("/")[-2] == digest
        assert re.fullmatch("[0-9a-f]{10}", digest)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_input_is_an_artefact_of_the_plan(preset):
    made = plan(preset=preset)
    paths = {artefact.path for artefact in made.artefacts.values()}
    for artefact in made.artefacts.values():
        for inputs in artefact.inputs.values():
            assert paths.issuperset(inputs)


@pytest.mark.parametrize("preset", PRESETS)
def test_everything_planned_leads_to_a_table_or_figure(preset):
    made, tables, figures = resolve(load({"preset": preset}, SHIPPED))
    by_path = {artefact.path: artefact for artefact in made.artefacts.values()}
    todo, reached = [*tables.values(), *figures.values()], set()
    while todo:
        artefact = todo.pop()
        if artefact.path not in reached:
            reached.add(artefact.path)
            todo += [by_path[path] for paths in artefact.inputs.values() for path in paths]
    assert reached == by_path.keys()


def test_a_plan_is_the_same_every_time(paper):
    assert list(paper.artefacts.items()) == list(plan().artefacts.items())


# -- what a change moves -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "with_those_like_it"),
    [
        ("two_stage", "two_stage"),
        ("stage1", "stage1"),
        ("upsampler", r"(scratch_)?upsampler(_\w+)?"),
        ("upsampler_plain", "upsampler_plain"),
        ("scratch", "scratch"),
    ],
)
def test_a_learning_rate_moves_what_is_made_from_its_row_and_nothing_else(paper, row, with_those_like_it):
    rows = [name for name in costly(paper) if re.fullmatch(rf"models/{with_those_like_it}(-.*)?", name)]
    assert moved(paper, plan(models={row: {"lr": 0.5}})) == made_from(paper, *rows)


def test_stage_1_is_kept_when_stage_2_changes(paper):
    changed = moved(paper, plan(models={"two_stage": {"steps": 7}}))
    assert f"models/two_stage-{TASK}" in changed
    assert f"models/stage1-{TASK}" not in changed


@pytest.mark.parametrize("preset", ["paper", "claims"])
def test_no_training_of_a_chain_draws_what_another_has_drawn(preset):
    """Each begins where the one before it ended; the prior has seen other pictures."""
    made = plan(preset=preset)
    rows = {"stage1": (), "continuation": ("stage1",), "two_stage": ("stage1", "continuation")}
    rows |= dict.fromkeys(("scratch", "one_stage", "upsampler", "spade"), ())
    for row, before in rows.items():
        named = [a for a in made.artefacts.values() if a.step == "train" and a.name == f"{row}-{TASK}"]
        (card,) = [a.card for a in named if a.card.seed == 0]
        assert card.steps_before == sum(made.config.models[each].steps for each in before), row


def test_sampling_options_keep_every_model(paper):
    changed = moved(paper, plan(sampling={"guidance": 1.0}))
    assert changed
    assert not [name for name in changed if name.split("/")[0] in ("models", "shards", "sketches", "weights")]


@pytest.mark.parametrize(
    "user",
    [
        {"machine": {"threads": 9, "micro_batch": 3, "sample_batch": 5, "compile": True, "save_minutes": 1}},
        {"tasks": {TASK: {"label": "Another label"}}},
        {"methods": {"ours": {"label": "Another label"}}},
        {"datasets": {"ade20k": {"licence": "another"}}},
        {"note": "printed with every table", "comparable": False},
        {"tables": {"table1": {"title": "Another title"}}},
    ],
    ids=lambda user: next(iter(user)),
)
def test_what_says_nothing_about_the_work_moves_nothing_that_costs(paper, user):
    assert not moved(paper, plan(**user))


def test_comments_and_order_of_keys_move_nothing(paper, tmp_path):
    for path in [*SHIPPED.glob("*.yaml"), *SHIPPED.glob("presets/*.yaml")]:
        copy = tmp_path / path.relative_to(SHIPPED)
        copy.parent.mkdir(exist_ok=True)
        copy.write_text("# a comment\n" + path.read_text() + "\n# another\n")
    assert resolve(load({}, tmp_path))[0].artefacts == paper.artefacts


def test_the_code_is_part_of_a_card_only_where_the_preset_says_so(paper):
    assert not any(artefact.card.code for artefact in paper.artefacts.values())
    smoke = plan(preset="smoke")
    assert all(artefact.card.code for artefact in smoke.artefacts.values() if artefact.step != "download")


# -- what is shared ----------------------------------------------------------------------------------------------------


def test_tables_and_figures_share_their_runs(paper):
    """All of them together make no more than each alone."""
    config, keys = paper.config, set()
    for name in config.tables:
        keys |= resolve(replace(config, tables={name: config.tables[name]}, figures={}))[0].artefacts.keys()
    for name in config.figures:
        keys |= resolve(replace(config, tables={}, figures={name: config.figures[name]}))[0].artefacts.keys()
    assert keys == paper.artefacts.keys()


def test_a_figure_with_seeds_draws_a_few_images_in_one_process(paper):
    drawn = [a for a in paper.artefacts.values() if a.step == "draw_variants" and "ade20k" in a.name]
    card = next(a.card for a in drawn if a.digest in str(resolve(paper.config)[2]["figure19"].card))
    assert [(v.name, v.seed) for v in card.variants] == [("ours-0", 0), ("ours-1", 1), ("ours-2", 2)]
    whole = next(a.card for a in paper.artefacts.values() if a.leg == "sampled" and a.name == f"two_stage-{TASK}")
    assert replace(card.base, sampling=card.variants[0].sampling, seed=0) == whole


def test_a_methods_sampling_moves_its_pictures_and_no_model(paper):
    changed = moved(paper, plan(methods={"scratch": {"sampling": {"guidance": 4.0}}}))
    assert f"sampled/scratch-{TASK}" in changed
    assert not [
        name
        for name in changed
        if not name.split("/")[0].endswith("sampled")
        and not name.startswith(("features/scratch", "scores/scratch", "alignment/scratch"))
    ]


def test_one_prior_serves_all_tasks_and_shares():
    scenes, row = {"seed": 5, "resolution": 64, "style": "near"}, {"weights": "", "steps": 1}
    trained = plan(
        preset="smoke",
        datasets={"web": {"scenes": scenes, "train": 8}},
        models={"prior_base": row, "prior_upsampler": row},
    )
    priors = {name: digests for name, digests in costly(trained).items() if name.startswith("models/prior")}
    assert priors.keys() == {"models/prior_base", "models/prior_upsampler"}
    assert all(len(digests) == 1 for digests in priors.values())


# -- measures ----------------------------------------------------------------------------------------------------------


def test_a_cell_may_be_measured_on_smaller_pictures():
    of, tables, _ = resolve(load({"preset": "claims"}, SHIPPED))
    scores = {cell.column: cell.scores for cell in tables["resolutions"].card.cells if cell.row == "SPADE"}
    assert [column.partition(",")[0] for column in scores] == [
        "FD EfficientNet-Lite0 ↓",
        "FD VGG16 ↓",
        "made small",
        "made small",
    ]
    seen = [of.artefacts["score", digests[0]].inputs for digests in scores.values()]
    for found, side in zip(seen, (0, 0, 16, 16), strict=True):
        made = [a for a in of.artefacts.values() if a.path in found["real"] + found["fake"]]
        assert len(made) == 2 and all(a.card.resolution == side for a in made)
    small = {"tables": {"table3a": {"columns": {"mean_iou": {"resolution": "base"}}}}}
    (cell, *_) = [c for c in resolve(load(small, SHIPPED))[1]["table3a"].card.cells if c.column.startswith("mIoU")]
    assert cell.reason == "not measured on smaller pictures"


@pytest.mark.parametrize("preset", ["claims", "mini"])
def test_a_claim_about_equal_steps_compares_them(preset):
    """All rows may train as long, counted from the prior."""
    config = load({"preset": preset}, SHIPPED)

    def since_prior(row: str) -> list[tuple[int, int]]:
        """Steps and batch of every training, those of no steps left out."""
        model = config.models[row]
        own = [(model.steps, model.batch)] if model.steps and not model.weights else []
        return own + (since_prior(model.init) if model.init else [])

    claims = [claim for claim in config.claims.values() if claim.equal_steps]
    assert len(claims) == 5
    for claim in claims:
        run_here = config.only.get("ade20k_mask", config.methods)
        made = [since_prior(config.methods[run.method].base) for run in claim.order if run.method in run_here]
        assert len({sum(steps for steps, _ in one) for one in made}) == 1, claim.text
        assert len({batch for one in made for _, batch in one}) == 1, claim.text


def claimed(name: str, **user):
    """The orderings of a claim of the preset claims, with changes."""
    of, tables, figures = resolve(load({"preset": "claims"} | user, SHIPPED))
    report(of, tables, figures)
    (card,) = [artefact.card for artefact in of.artefacts.values() if artefact.step == "compare_scores"]
    return next(claim for claim in card.claims if claim.name == name).orderings


def test_trainings_of_unequal_length_are_not_taken_for_equal():
    """docs/long.yaml, or anyone who gives one row more steps."""
    shipped = claimed("ours_below_scratch")
    longer = claimed("ours_below_scratch", models={"scratch": {"steps": 68000}})
    assert shipped[0].better_scores and shipped[0].equal_steps and not longer[0].equal_steps


def test_a_seed_that_is_said_twice_is_refused():
    with pytest.raises(InputError, match=r"seeds: found \[0, 0\], expected each once"):
        plan(seeds=[0, 0])


def test_photographs_may_go_through_an_upsampler_once_for_every_training():
    of, tables, _ = resolve(load({"preset": "claims"}, SHIPPED))
    (cell, *_) = [c for c in tables["resolutions"].card.cells if c.row == "Real images, upsampled"]
    assert cell.ceiling and len(cell.scores) == len(cell.seeds) == 3
    drawn = [
        a for a in of.artefacts.values() if a.step == "upsample" and "ade20k-test-images16" in a.inputs["low_res"][0]
    ]
    assert len(drawn) == 3 and all(a.card.sampling == of.config.sampling for a in drawn)
    with pytest.raises(InputError, match=r"methods\.ours: found real and base, expected one of them"):
        load({"methods": {"ours": {"real": True}}}, SHIPPED)


def test_columns_say_what_they_measure():
    """Nothing but its name where all of a table is the paper's FID; else measure, unit and direction."""
    paper, smoke = (resolve(load({"preset": preset}, SHIPPED))[1] for preset in ("paper", "smoke"))
    assert paper["table1"].card.columns[0] == "ADE20K"
    assert smoke["table1"].card.columns[0] == "ADE20K, FD EfficientNet-Lite0 ↓"
    assert paper["table3a"].card.columns == ("FID-C ↓", "mIoU % ↑")
    assert paper["alignment"].card.columns[-2:] == ("DIODE, normals ° ↓", "DIODE, log depth, % of range ↓")


def test_a_measure_for_another_kind_of_condition_is_a_dash():
    asked = {"columns": {"x": {"task": "coco_sketch", "metric": "mean_iou"}}}
    cells = resolve(load({"tables": {"alignment": asked}}, SHIPPED))[1]["alignment"].card.cells
    wrong = [cell for cell in cells if cell.column == "COCO (Sketch), mIoU % ↑"]
    assert wrong and {(cell.reason, cell.scores) for cell in wrong} == {("-", ())}


@pytest.mark.parametrize("preset", WITH_TASKS)
def test_one_estimator_a_task_whatever_is_measured_and_by_which_seed(preset):
    made = costly(plan(preset=preset, seeds=[3, 4]))
    tasks = {"ade20k_mask", "coco_mask", "flickr_mask", "diode_geometry"}
    found = {name: digests for name, digests in made.items() if name.startswith("models/estimator-")}
    assert found.keys() <= {f"models/estimator-{task}" for task in tasks}
    assert found["models/estimator-ade20k_mask"] and all(len(digests) == 1 for digests in found.values())
    assert found.items() <= costly(plan(preset=preset)).items()


def test_photographs_are_measured_once():
    cells = resolve(load({"preset": "smoke", "seeds": [0, 1]}, SHIPPED))[1]["alignment"].card.cells
    assert {len(cell.scores) for cell in cells if cell.row == "Real images"} == {1}
    assert {len(cell.scores) for cell in cells if cell.row == "Ours"} == {2}


# -- seeds and shares --------------------------------------------------------------------------------------------------


def test_seeds_stand_in_paths_and_share_the_data(paper):
    one, two = costly(paper), costly(plan(seeds=[0, 1]))
    for name, digests in one.items():
        drawn_by_seed = name.split("/")[0] in ("models", "sampled", "upsampled", "generated", "scores", "alignment")
        drawn_by_seed &= not re.match(
            r"models/estimator|alignment/\w+-test-images", name
        )  # these measure, or are given
        assert set(digests) < set(two[name]) if drawn_by_seed else set(digests) <= set(two[name]), name
    cell = cells(seeds=[0, 1])["Ours", "ADE20K"]
    assert cell.seeds == (0, 1)
    assert len(set(cell.scores)) == 2


def test_ones_own_photographs_may_show_any_class():
    """Also in a preset that would draw scenes, of which only some labels have a channel."""
    drawn, own = (
        {a.name: a.card for a in plan(preset="smoke", datasets=data).artefacts.values() if a.step == "train"}
        for data in ({}, {"ade20k": {"path": "/data/ade20k"}})
    )
    assert len(drawn["spade-ade20k_mask"].baseline.classes) == 17 and not own["spade-ade20k_mask"].baseline.classes
    assert own["spade-ade20k_mask"].baseline.condition_channels == 151


def test_a_table_and_a_claim_may_have_more_trainings_than_the_others():
    """Two cells of the same method are then of different trainings; a claim compares all of its own in pairs."""
    more = {"seeds": [0, 1, 2]}
    user = {"preset": "smoke", "tables": {"table3a": {"run": more}}, "claims": {"finetuning": more}}
    of, tables, figures = resolve(load(user, SHIPPED))
    ours = {
        name: next(cell for cell in tables[name].card.cells if cell.run == "ours/ade20k_mask/100%")
        for name in ("table1", "table3a")
    }
    assert {name: cell.seeds for name, cell in ours.items()} == {"table1": (0,), "table3a": (0, 1, 2)}
    assert set(ours["table1"].scores) < set(ours["table3a"].scores)
    report(of, tables, figures)
    (compared,) = (a.card for a in of.artefacts.values() if a.step == "compare_scores")
    pairs = {claim.name: {len(one.better_scores) for one in claim.orderings} for claim in compared.claims}
    assert pairs["finetuning"] == {3} and pairs["ours_below_spade"] == {1}


MINE = {"title": "t", "run": {"task": TASK, "metric": "fid_c"}, "columns": {"fid": {}}, "paper": {}}


@pytest.mark.parametrize(
    ("user", "line"),
    [
        (
            {"mine": MINE | {"rows": {"all": {"method": "ours"}, "part": {"method": "ours", "fraction": 0.5}}}},
            "tables.mine.rows: found 'Ours' twice, expected a label of its own for each",
        ),
        ({"table2": MINE | {"rows": {"all": {"method": "ours"}}}}, "tables.table2: found a table of this name"),
        ({"figure3": MINE | {"rows": {"all": {"method": "ours"}}}}, "tables.figure3: found a table of this name"),
        ({"score": MINE | {"rows": {"all": {"method": "ours"}}}}, "tables.score: found a table of this name"),
    ],
)
def test_a_table_that_could_not_be_made_or_shown_is_refused_at_once(user, line):
    with pytest.raises(InputError, match=line):
        resolve(load({"preset": "smoke", "tables": user}, SHIPPED))


def rules():
    """Names of the rules that are written down; those of steps have their steps'."""
    files = [SHIPPED.parent / "Snakefile", *SHIPPED.parent.glob("rules/*.smk")]
    return {name for file in files for name in re.findall(r"^ *rule (\w+):", file.read_text(), re.M)}


@pytest.mark.parametrize("name", [*sorted(rules()), "train", "table2", "metric_check"])
def test_a_figure_is_not_called_as_something_else_that_snakemake_makes(name):
    figure = {"title": "t", "tasks": [TASK], "columns": ["condition"]}
    with pytest.raises(InputError, match=f"figures.{name}: found a figure of this name, expected another"):
        resolve(load({"preset": "smoke", "figures": {name: figure}}, SHIPPED))


@pytest.mark.parametrize(
    ("method", "line"),
    [
        ({}, r"methods\.mine\.base: found none, expected a row of models"),
        ({"base": "two_stage"}, r"methods\.mine\.upsampler: found none, expected a row of models"),
        ({"best_of": ["spade", "oasis"]}, r"methods\.mine\.base: .* \(only in tables best_of takes its place\)"),
    ],
)
def test_a_method_that_makes_no_pictures_is_refused_where_they_are_wanted(method, line):
    methods = {"mine": {"label": "My method"} | method}
    with pytest.raises(InputError, match=line):
        resolve(load({"preset": "smoke", "methods": methods, "study": {"against": {"mine": "-"}}}, SHIPPED))


def test_a_claim_without_tasks_is_left_out():
    user = {"preset": "smoke", "claims": {"ours_below_oasis": {"tasks": []}}}
    of, *shown = resolve(load(user, SHIPPED))
    report(of, *shown)
    (card,) = (a.card for a in of.artefacts.values() if a.step == "compare_scores")
    assert "ours_below_oasis" not in {claim.name for claim in card.claims} and card.claims


def test_the_networks_that_look_are_trained_whatever_part_of_the_pairs_is_run():
    """An estimator always learns from all pairs; without it no training that is looked at would be planned."""
    _, tables, _ = resolve(load({"preset": "claims", "fractions": [0.25]}, SHIPPED))
    made = {cell.run: bool(cell.scores) for cell in tables["table4"].card.cells}
    assert made[f"ours/{TASK}/25%"] and not made[f"ours/{TASK}/100%"]


def test_trainings_are_compared_with_those_of_the_same_seeds():
    """Differences are paired by place. What nobody trains has the same pictures for every seed."""
    three = {"method": "ours"}
    claim = {"text": "t", "tasks": [TASK], "metric": "mean_iou"}

    def compared(*order: dict, **more) -> list[int]:
        user = {"preset": "smoke", "seeds": [0, 1, 2], "claims": {"mine": claim | {"order": order} | more}}
        of, *shown = resolve(load(user, SHIPPED))
        report(of, *shown)
        (checked,) = (a.card.claims for a in of.artefacts.values() if a.step == "compare_scores")
        return [len(one.than_scores) for claim in checked if claim.name == "mine" for one in claim.orderings]

    for seeds in ([0], [1, 2, 0], [0, 1, 3]):
        others = {"method": "scratch", "seeds": seeds}
        for order in ([three, others], [others, three]):
            with pytest.raises(InputError, match=r"claims: t: seeds: found \[.*\] of \w+ and \[.*\] of \w+, expected"):
                compared(*order)
    assert compared(three, {"method": "scratch"}, seeds=[0, 1]) == [2]  # of the whole claim
    assert compared(three, {"method": "real_images"}) == [3]


def test_a_share_of_the_pairs_stands_in_the_name_of_what_it_trains(paper):
    share = {"method": "ours", "task": TASK, "fraction": 0.125, "label": "part"}
    part = plan(tables={"table1": {"rows": {"part": share}}})
    new = {name for name in moved(paper, part) if name.split("/")[0] == "models"}
    assert f"models/two_stage-{TASK}-12.5" in new
    assert all(name.endswith("-12.5") for name in new)


@pytest.mark.parametrize(("fraction", "said"), [(0.25, "25%"), (0.125, "12.5%"), (0.001, "0.1%"), (0.07, "7%")])
def test_a_cell_says_of_what_share_of_the_pairs_it_is(fraction, said):
    share = {"method": "ours", "task": TASK, "fraction": fraction, "label": "part"}
    assert f"ours/{TASK}/{said}" in {cell.run for cell in cells(tables={"table1": {"rows": {"part": share}}}).values()}


# -- sources -----------------------------------------------------------------------------------------------------------


def test_without_a_source_a_column_says_so_and_the_rest_is_made():
    planned = cells(datasets={"flickr": {"path": None, "archives": {}}})
    flickr = [cell for (_, column), cell in planned.items() if column == "Flickr (Mask)"]
    assert {cell.reason for cell in flickr} == {"no source configured"}
    assert not any(cell.scores for cell in flickr)
    assert all(cell.scores for (_, column), cell in planned.items() if column == "ADE20K")


def test_a_source_given_later_moves_nothing_else(paper):
    after = plan(datasets={"flickr": {"path": "/data/photographs"}})
    assert {name for name in moved(paper, after) if "flickr" not in name} == set()
    given = {a.given["root"] for a in after.artefacts.values() if a.given and a.name.startswith("flickr")}
    assert given == {"/data/photographs"}


def test_a_path_takes_the_place_of_downloads(paper):
    fetched = {"downloads/coco", "data/coco"}
    assert fetched <= costly(paper).keys()
    assert not fetched & costly(plan(datasets={"coco": {"path": "/data/coco"}})).keys()


def test_a_substitution_stands_in_the_cell():
    cell = cells(datasets={"flickr": {"path": "/data/photographs"}})["Ours", "Flickr (Mask)"]
    assert cell.scores
    assert "proprietary" in cell.substitution


@pytest.mark.parametrize(
    ("user", "row", "says"),
    [
        ({}, {}, ""),
        ({"datasets": {"ade20k": {"scenes": {"seed": 3}}}}, {}, "synthetic scenes"),
        ({"extractors": {"fid_c": "vgg16"}}, {}, "by vgg16"),
        ({"extractors": {"fid_c": "inception", "fid_i": "clip_vit_b32"}}, {}, "by inception"),  # the paper's, exchanged
        ({}, {"resolution": "base"}, "made small"),
        ({"preset": "smoke"}, {"resolution": "base"}, ""),  # beside whose scores nothing of the paper stands
    ],
)
def test_what_is_not_as_in_the_paper_stands_in_the_cell(user, row, says):
    """And so no number of the paper beside it."""
    run = {"method": "ours", "task": TASK, "metric": "fid_c"} | row
    mine = {"title": "m", "rows": {"ours": {}}, "columns": {"fid": {}}, "run": run}
    card = resolve(load(user | {"tables": {"mine": mine}}, SHIPPED))[1]["mine"].card
    assert card.cells[0].substitution == says and card.columns[0].startswith("made small, ") == bool(row)


def test_rows_measured_against_other_test_images_are_refused_before_anything_is_trained():
    rows = {"a": {"task": TASK}, "b": {"task": "coco_sketch"}}
    mine = {"title": "m", "rows": rows, "columns": {"ours": {"method": "ours"}}, "run": {"metric": "fid_c"}}
    with pytest.raises(InputError, match=r"tables\.mine\.columns\.ours: found other test images in row b, expected"):
        resolve(load({"preset": "smoke", "tables": {"mine": mine}}, SHIPPED))


def test_the_best_is_that_of_the_methods_that_take_such_a_condition():
    best = {"methods": {"best": {"label": "Best", "best_of": ["oasis", "ours"]}}}
    best |= {"tables": {"table1": {"rows": {"best": {"method": "best"}}}}}
    found = cells(**best)
    assert len(found["Best", "COCO (Sketch)"].scores) == 1 and len(found["Best", "ADE20K"].scores) == 2
    some = cells(only={TASK: ["oasis"]}, left_out="not today", **best)
    assert some["Best", "ADE20K"].reason == "not today"  # the best of one would not be the best of both


def test_what_is_not_trained_has_no_seeds():
    _, tables, _ = resolve(load({"preset": "smoke"}, SHIPPED))
    seeds = {cell.row: cell.seeds for cell in tables["alignment"].card.cells if cell.scores}
    assert seeds["Real images"] == () and seeds["Ours"] == (0,)


def test_a_claim_names_what_it_compares():
    order = [{"method": "ours", "fraction": 0.25}, {"method": "ours"}]
    claim = {"text": "t", "order": order, "tasks": [TASK], "metric": "fid_c"}
    of, *shown = resolve(load({"preset": "smoke", "claims": {"mine": claim}}, SHIPPED))
    with pytest.raises(InputError, match="claims: t: found 'Ours' twice, expected a label of its own for each"):
        report(of, *shown)


def test_a_method_that_cannot_take_a_condition_has_a_dash():
    cell = cells()["OASIS", "COCO (Sketch)"]
    assert (cell.reason, cell.scores) == ("-", ())


def test_what_is_left_out_says_so_and_trains_nothing():
    some = {"only": {"coco_mask": [], "coco_sketch": ["ours"]}, "left_out": "not today"}
    planned = cells(**some)
    reasons = {cell.reason for (_, column), cell in planned.items() if column == "COCO (Mask)"}
    assert reasons == {"not today"}
    assert planned["Ours", "COCO (Sketch)"].scores
    assert planned["Ours (from scratch)", "COCO (Sketch)"].reason == "not today"
    assert all(cell.scores for (_, column), cell in planned.items() if column == "ADE20K")
    trained = {name for name in costly(plan(**some)) if name.startswith("models/")}
    assert not any("coco_mask" in name or "scratch-coco_sketch" in name for name in trained)
    assert "models/two_stage-coco_sketch" in trained
    figures = resolve(load(some, SHIPPED))[2]
    assert [column.reason for column in figures["figure7"].card.strips[0].columns] == ["not today"]
    sketches = figures["figure11"].card.strips[0].columns
    assert [column.reason for column in sketches] == ["", "", "not today", "not today", ""]


def test_mini_runs_the_mask_column_in_full():
    planned = cells(preset="mini")
    assert all(cell.scores for (_, column), cell in planned.items() if column == "ADE20K")
    assert {cell.reason for cell in planned.values()} == {"", "-", "not run in mini"}


def test_released_weights_take_the_place_of_training(paper):
    released = {"two_stage": {"init": "released", "steps": 0}}
    name = f"released_{TASK}_base"
    without = cells(models=released)
    assert without["Ours", "ADE20K"].reason == f"no released weights ({name} in weights.yaml)"
    assert without["Ours (from scratch)", "ADE20K"].scores
    given = {"models": released, "weights": {name: {"format": "piti", "path": "/data/base.pt"}}}
    assert cells(**given)["Ours", "ADE20K"].scores
    assert f"models/two_stage-{TASK}" in costly(paper).keys() - costly(plan(**given)).keys()


# -- precision ---------------------------------------------------------------------------------------------------------


def precisions(**user) -> dict[str, set[str]]:
    """Row of models.yaml, or step -> the precisions of its cards in the paper preset."""
    plan, _, _ = resolve(load(user, SHIPPED))
    found = {}
    for artefact in plan.artefacts.values():
        part = getattr(artefact.card, "training", None) or getattr(artefact.card, "sampling", None)
        if part:
            name = artefact.name.split("-")[0] if artefact.step == "train" else artefact.step
            found.setdefault(name, set()).add(part.precision)
    return found


@pytest.mark.parametrize("key", ["fp32", "bf16"])
def test_one_key_says_the_precision_of_every_row_and_of_all_sampling(key):
    found = precisions(precision=key)
    assert len(found) > 10
    for row in ("pix2pixhd", "spade", "oasis", "estimator"):  # which say it themselves
        assert found.pop(row) == {"fp32"}
    assert all(used == {key} for used in found.values()), found


def test_a_row_and_a_method_may_have_a_precision_of_their_own():
    own = {"models": {"stage1": {"precision": "fp32"}, "spade": {"precision": "bf16"}}}
    own |= {"methods": {"scratch": {"sampling": {"precision": "fp32"}}}}
    found = precisions(precision="bf16", **own)
    for row in ("stage1", "pix2pixhd", "oasis", "estimator"):
        assert found.pop(row) == {"fp32"}
    assert found.pop("sample") == found.pop("upsample") == {"fp32", "bf16"}
    assert all(used == {"bf16"} for used in found.values())
    assert precisions(precision="bf16", sampling={"precision": "fp32"})["sample"] == {"fp32"}


def test_an_inversion_stays_in_fp32():
    config = load({"precision": "bf16"}, SHIPPED)
    assert {method.sampling.precision for name, method in config.methods.items() if name != "ours_inverted"} == {"bf16"}
    assert config.methods["ours_inverted"].sampling.precision == "fp32"


# -- identity is content, not place ------------------------------------------------------------------------------------


def trained(of: Plan) -> set[str]:
    """The digests of everything that is trained."""
    return {artefact.digest for artefact in of.artefacts.values() if artefact.step == "train"}


GLIDE = "https://openaipublic.blob.core.windows.net/diffusion/dec-2021/base.pt"
ADE20K = "ADEChallengeData2016.zip"
UNMOVED = {
    "another shard size": {"shard_size": 1024, "sample_shard_size": 64},
    "a second mirror": {"datasets": {"ade20k": {"archives": {ADE20K: {"url": ["http://a/x.zip", "http://b/x.zip"]}}}}},
    "another mirror of weights": {"weights": {"glide_base": {"url": ["http://other/name.pt", GLIDE]}}},
    "the archive's data on disk": {"datasets": {"ade20k": {"path": "/data/ade20k"}}},
    "weights on disk": {"weights": {"glide_base": {"path": "/data/glide/base.pt"}}},
    "weights of a stated digest on disk": {"weights": {"vgg19": {"path": "/data/vgg19.pth"}}},
    "licences": {"weights": {"glide_base": {"licence": "Expat"}}, "datasets": {"coco": {"licence": "another"}}},
    "sizes in bytes": {
        "datasets": {"diode": {"archives": {"val.tar.gz": {"bytes": 2774625282}}}},
        "weights": {"glide_base": {"bytes": 1}},
    },
    "published counts": {
        "datasets": {"coco": {"train": 118286, "test": 4999}, "ade20k": {"train": 20211}, "diode": {"train": 1}}
    },
    "a checksum that was not stated": {
        "datasets": {"coco": {"archives": {"stuffthingmaps_trainval2017.zip": {"digest": "md5:" + 32 * "0"}}}}
    },
}


@pytest.mark.parametrize("change", UNMOVED)
def test_where_and_how_data_lie_trains_nothing_anew(paper, change):
    assert trained(plan(**UNMOVED[change])) == trained(paper)


@pytest.mark.parametrize("change", [name for name in UNMOVED if "on disk" not in name and "stated" not in name])
def test_what_lies_where_it_did_is_not_even_fetched_or_packed_anew(paper, change):
    assert costly(plan(**UNMOVED[change])) == costly(paper)


@pytest.mark.parametrize("path", ["/data/a", "/elsewhere/a", "/data/a/", "relative/a", "/data/../data/a"])
def test_a_folder_of_photographs_may_lie_anywhere(path):
    before = plan(datasets={"flickr": {"path": "/data/photographs"}})
    assert trained(plan(datasets={"flickr": {"path": path}})) == trained(before)


def test_exclusions_have_no_order():
    one, other = (plan(datasets={"ade20k": {"exclude": ids}}) for ids in (["a", "b"], ["b", "a", "a"]))
    assert costly(one) == costly(other)


def test_results_and_downloads_may_lie_anywhere(paper):
    assert costly(plan(results="/elsewhere", downloads="/third")) == costly(paper)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"datasets": {"ade20k": {"version": "2"}}}, "ade20k"),
        ({"datasets": {"ade20k": {"exclude": ["one"]}}}, "ade20k"),
        ({"datasets": {"flickr": {"path": "/x", "train": 40000}}}, "flickr"),
        ({"datasets": {"flickr": {"path": "/x", "test": 1000}}}, "flickr"),
    ],
)
def test_other_data_on_purpose_train_their_models_anew_and_no_others(change, name):
    before = plan(datasets={"flickr": {"path": "/x"}})
    after = plan(**{"datasets": {"flickr": {"path": "/x"}} | change["datasets"]})
    gone = trained(before) - trained(after)
    named = {a.name for a in before.artefacts.values() if a.digest in gone}
    assert named and all(name in one for one in named)
    every = {a.name for a in before.artefacts.values() if a.step == "train" and name in a.name}
    assert named == every


def test_other_weights_on_purpose_are_other_weights(paper):
    for change in ({"digest": "sha256:" + 64 * "0"}, {"version": "2"}):
        gone = trained(paper) - trained(plan(weights={"glide_base": change}))
        assert {a.name for a in paper.artefacts.values() if a.digest in gone} >= {f"two_stage-{TASK}"}


def test_another_seed_draws_other_data():
    before = plan(preset="smoke")
    assert trained(before) & trained(plan(preset="smoke", datasets={"ade20k": {"scenes": {"seed": 9}}})) < trained(
        before
    )


def test_the_count_of_a_folders_training_pairs_keeps_its_test_set():
    """For the layout `folder` the counts make the split."""
    few, many = (plan(datasets={"flickr": {"path": "/x", "train": n}}) for n in (100, 200))
    tests = [{k: v for k, v in costly(p).items() if k.startswith("shards/flickr-test")} for p in (few, many)]
    assert tests[0] and tests[0] == tests[1]


# -- methods made elsewhere --------------------------------------------------------------------------------------------


def mine(folder, **more) -> dict:
    """A row of Table 1 whose pictures lie in a folder."""
    rows = {"table1": {"rows": {"mine": {"method": "mine"}}}, "alignment": {"rows": {"mine": {"method": "mine"}}}}
    return {"methods": {"mine": {"label": "My method", "pictures": {TASK: str(folder)}}}, "tables": rows} | more


@pytest.mark.parametrize("preset", WITH_TASKS)
def test_pictures_made_elsewhere_are_a_row_like_any_other(tmp_path, preset):
    (tmp_path / "a.png").touch()
    user = mine(tmp_path, preset=preset, seeds=[0, 1])
    user["figures"] = {"figure3": {"columns": ["condition", "mine", "ours"]}}
    user["claims"] = {"mine": {"text": "t", "order": [{"method": "mine"}, {"method": "ours"}], "tasks": [TASK]}}
    user["study"] = {"task": TASK, "against": {"mine": "-"}}
    made, tables, figures = resolve(load(user, SHIPPED))
    for table in ("table1", "alignment"):
        of = {cell.column: cell for cell in tables[table].card.cells if cell.row == "My method"}
        here = [cell for cell in of.values() if not cell.reason]
        assert len(here) == 1 and here[0].column.startswith("ADE20K") and len(here[0].scores) == 1
    (gathered,) = (a for a in made.artefacts.values() if a.step == "gather_pictures")
    assert gathered.given == {"folder": str(tmp_path)}
    assert any(gathered.path in a.inputs.get("pictures", ()) for a in figures.values())
    assert any(gathered.path in a.inputs.get("against", ()) for a in made.artefacts.values())
    report(made, tables, figures)
    (claim,) = (one for one in claims_of(made) if one.name == "mine")
    (ordering,) = claim.orderings
    assert not ordering.reason and len(ordering.better_scores) == len(ordering.than_scores) == 2
    assert len(set(ordering.better_scores)) == 1  # with every training, or claim and table had other means


def test_pictures_and_weights_from_elsewhere_are_of_no_training_on_fewer_pairs(tmp_path):
    """Table 4 would show the same pictures in all its rows, as if a quarter of the pairs did as well as all."""
    (tmp_path / "a.png").touch()
    user = mine(tmp_path, preset="smoke", models={"two_stage": {"init": "released", "steps": 0}})
    user["weights"] = {f"released_{TASK}_base": {"format": "piti", "path": "/data/base.pt"}}
    user["tables"] = {"table4": {"columns": {"mine": {"method": "mine"}}, "paper": {}}}
    user["tables"]["table4"]["paper"] = {row: ["-"] * 6 for row in ("25%", "50%", "100%")}
    said = {cell.run: cell.reason for cell in resolve(load(user, SHIPPED))[1]["table4"].card.cells}
    assert said[f"mine/{TASK}/100%"] == said[f"ours/{TASK}/100%"] == said[f"scratch/{TASK}/25%"] == ""
    assert said[f"mine/{TASK}/25%"] == said[f"mine/{TASK}/50%"] == "no pictures given"
    assert said[f"ours/{TASK}/25%"] == "no weights of a training on 25% of the pairs"


def claims_of(made: Plan):
    (card,) = (a.card for a in made.artefacts.values() if a.step == "compare_scores")
    return card.claims


def test_other_pictures_are_scored_anew_and_move_nothing_else(tmp_path):
    (tmp_path / "a.png").write_text("one")
    before = plan(**mine(tmp_path))
    assert not moved(before, plan(**mine(tmp_path)))
    (tmp_path / "a.png").write_text("another")
    found = moved(before, plan(**mine(tmp_path)))
    assert found and all("pictures-ade20k_mask" in name for name in found)


def test_the_same_pictures_in_another_place_or_of_another_name_are_not_scored_again(tmp_path):
    """Such as those that `piti score` scored: in the table, with `missing: blank`, their row was missing."""
    (tmp_path / "drawn").mkdir()
    (tmp_path / "drawn/a.png").write_text("one")
    before = plan(**mine(tmp_path / "drawn"))
    (tmp_path / "drawn").rename(tmp_path / "moved")
    user = mine(tmp_path / "moved")
    user["methods"]["other"] = user["methods"].pop("mine") | {"label": "Other"}
    user["tables"] = {name: {"rows": {"other": {"method": "other"}}} for name in user["tables"]}
    assert not moved(before, plan(**user))


def test_other_pictures_of_the_same_size_and_date_are_scored_anew(tmp_path):
    """Such as BMPs that a program copied with their dates."""
    path = tmp_path / "a.bmp"
    path.write_text("one")
    before, about = plan(**mine(tmp_path)), path.stat()
    path.write_text("two")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert moved(before, plan(**mine(tmp_path)))


@pytest.mark.parametrize("link", [".#notes", "b.png"])
def test_what_is_hidden_or_a_link_to_nowhere_is_no_picture_made_elsewhere(tmp_path, link):
    (tmp_path / "a.png").touch()
    before = plan(**mine(tmp_path))
    (tmp_path / link).symlink_to("nowhere")  # as Emacs marks who edits a file
    (tmp_path / ".DS_Store").touch()
    assert not moved(before, plan(**mine(tmp_path)))


def test_a_folder_that_holds_itself_is_planned_and_refused_by_who_reads_it(tmp_path):
    """Two such links were 2^40 paths."""
    (tmp_path / "a.png").touch()
    for name in ("latest", "best"):
        (tmp_path / name).symlink_to(".")
    assert any(a.step == "gather_pictures" for a in plan(**mine(tmp_path)).artefacts.values())
    with pytest.raises(InputError, match="found a link to a folder above it"):
        listing.listed(tmp_path)


def test_pictures_and_models_are_two_methods(tmp_path):
    user = mine(tmp_path)
    user["methods"]["mine"]["base"] = "two_stage"
    with pytest.raises(InputError, match=r"methods\.mine: found pictures and base, expected one of them"):
        load(user, SHIPPED)
    with pytest.raises(
        InputError, match=r"methods\.mine\.pictures: unknown key 'ade20k'; nearest valid key: ade20k_mask"
    ):
        load({"methods": {"mine": {"label": "m", "pictures": {"ade20k": "x"}}}}, SHIPPED)


@pytest.mark.parametrize(("task", "drawn"), [("ade20k_mask", 17), ("coco_mask", 18), ("coco_sketch", 0)])
def test_a_baseline_has_channels_for_the_classes_that_a_drawn_data_set_can_show(task, drawn):
    card = models.trained(Plan(load({"preset": "smoke"}, SHIPPED)), "spade", task, 1.0, 0).card
    assert len(card.baseline.classes) == drawn
    assert card.baseline.condition_channels == {"ade20k_mask": 18, "coco_mask": 20, "coco_sketch": 1}[task]


def test_where_data_are_real_all_classes_have_one():
    card = models.trained(Plan(load({}, SHIPPED)), "spade", "ade20k_mask", 1.0, 0).card
    assert (card.baseline.classes, card.baseline.condition_channels) == ((), 151)
