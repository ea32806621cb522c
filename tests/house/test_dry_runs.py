"""What a user types resolves at the root of a fresh clone: no data, GPU or network needed, and no time either.

Each dry run is forced (-F), so that it plans everything whatever has been made here already.
"""

import json
import re
from argparse import Namespace
from collections import Counter
from glob import glob
from pathlib import Path

import pytest
import yaml
from PIL import Image

from piti.cli import plan as command
from piti.config import load
from piti.data.packing import pack
from piti.plan import resolve
from piti.plan.steps import STEPS
from tests.house import ROOT, run
from tests.house.pages import yaml as yaml_of


def dry_run(*arguments: str) -> str:
    """What `snakemake -n -F …` prints."""
    asked = run("-m", "snakemake", "-n", "-F", *arguments)
    assert asked.returncode == 0, asked.stdout + asked.stderr
    return asked.stdout


def jobs(printed: str) -> dict[str, int]:
    """Rule -> number of jobs, from the table that Snakemake prints."""
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", printed, re.M)}


def counted(capsys, target: str | None, **user) -> tuple[int, int]:
    """How many jobs `piti plan` counts, and how many of them are to do."""
    command.run(Namespace(target=target, gpu=None), load(user, ROOT / "config"))
    return tuple(map(int, re.search(r"^sum +(\d+) +(\d+)$", capsys.readouterr().out, re.M).groups()))


@pytest.mark.parametrize(("preset", "profile"), [("paper", ["--profile", "slurm"]), ("smoke", [])])
def test_all_makes_what_the_plan_holds(preset, profile, capsys):
    printed = dry_run(*profile, "all", "--config", f"preset={preset}")
    config = load({"preset": preset}, ROOT / "config")
    plan, _, _ = resolve(config)
    planned = Counter(step for step, _ in plan.artefacts)
    assert {rule: count for rule, count in jobs(printed).items() if rule in planned} == planned
    assert f" {config.results}/table1.csv" in printed
    assert counted(capsys, None, preset=preset)[0] == jobs(printed)["total"]


def test_short_names_and_files_are_targets():
    found = jobs(dry_run("table1", "tables", "figures", "figure3", "results/table1.csv"))
    assert {"table1", "tables", "figures", "figure3"} <= found.keys()
    assert "all" not in found


def test_a_table_and_a_figure_may_have_any_sign_that_a_name_may_have(tmp_path):
    """They stand in a pattern, in which + and . mean something else."""
    table = {"title": "t", "run": {"task": "ade20k_mask"}, "rows": {"spade": {"method": "spade"}}}
    table["columns"] = {"fid": {"metric": "fid_c"}}
    figure = {"title": "t", "tasks": ["ade20k_mask"], "columns": ["condition"]}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"tables": {"a+b": table}, "figures": {"a.b+": figure}}))
    printed = dry_run("a+b", "a.b+", "--configfile", str(tmp_path / "mine.yaml"))
    assert {"publish_table", "publish_figure"} <= jobs(printed).keys()


COUNTING = """
import atexit, sys
from snakemake.cli import main
from piti.plan.cost import Costs
built, init = [], Costs.__init__
Costs.__init__ = lambda costs, *given: built.append(init(costs, *given))
atexit.register(lambda: print("times that work was reckoned:", len(built)))
main(sys.argv[1:])
"""


def starts(folder: Path, *arguments: str):
    """What comes of it where Snakemake is to make Table 1 of the paper preset on a machine without GPUs."""
    settings = [f"results={folder}/results", f"downloads={folder}/downloads", "machine={gpus: 0}"]
    return run("-c", COUNTING, f"{folder}/results/table1.csv", "--cores", "1", *arguments, "--config", *settings)


def test_what_would_take_this_machine_more_than_a_week_does_not_begin(tmp_path):
    asked = starts(tmp_path)
    assert asked.returncode == 1
    assert re.search(
        r"this run: found about [\d,]+ days of work for this machine \(GPUs: 0;", asked.stdout + asked.stderr
    )
    assert not Path(tmp_path, "downloads").exists()
    assert "times that work was reckoned: 1\n" in asked.stdout


def test_touching_files_takes_no_time_and_is_not_refused(tmp_path):
    asked = starts(tmp_path, "--touch")
    assert asked.returncode == 0, asked.stderr
    assert "days of work" not in asked.stdout + asked.stderr


def test_typed_settings_beat_a_configfile_beats_the_preset(tmp_path):
    """And what a preset has may be taken out."""
    file = tmp_path / "mine.yaml"
    file.write_text("{preset: smoke, study: null, results: results/file, downloads: results/elsewhere}")
    printed = dry_run("table1", "--configfile", str(file), "--config", "results=results/typed")
    assert " results/typed/table1.csv" in printed
    assert " results/elsewhere/" in printed
    assert "draw_scenes" in jobs(printed)
    assert "results/file/" not in printed


@pytest.mark.parametrize("preset", ["paper", "smoke"])
def test_the_recipes(preset, tmp_path):
    """An ablation and a data set, as the pages have them, in a file of one's own."""
    recipes = yaml_of("docs/add-something.md", "my_row") + yaml_of("docs/own-data.md", "mine_mask")
    files = [tmp_path / "ablation.yaml", tmp_path / "dataset.yaml"]
    for file, recipe in zip(files, recipes, strict=True):
        file.write_text(recipe)
    printed = dry_run("table3b", "mine", "--configfile", *map(str, files), "--config", f"preset={preset}")
    assert "/models/my_row-ade20k_mask/" in printed and "/models/spade-mine_mask/" in printed


@pytest.mark.slow
@pytest.mark.parametrize("how", [["--detailed-summary"], ["--rulegraph", "dot"]])
def test_snakemake_shows_what_there_is_without_running_anything(how):
    asked = run("-m", "snakemake", "table1", *how, "--config", "preset=smoke")
    assert asked.returncode == 0 and "train" in asked.stdout, asked.stderr


def asked_for(printed: str, *keys: str) -> dict[str, dict[str, str]]:
    """Row -> what its training asks for, of these resources, from what a dry run prints."""
    trainings = re.findall(r"output: \S*/models/(\w+)-.*?resources: (.*?)\n", printed, re.S)
    return {row: dict(re.findall(rf"\b({'|'.join(keys)})=([^,]*)", text)) for row, text in trainings}


def told(printed: str, step: str, row: str = "") -> tuple[int | None, int]:
    """How many GPUs a step is told of, and its launcher, in what a dry run prints. None: it takes what is there."""
    lines = re.findall(rf"launch --gpus (\d) .*?piti\.steps\.{step} (.*) --output \S*/{row}", printed)
    (found,) = {(*map(int, re.findall(r" --gpus (\d)", options)), int(launched)) for launched, options in lines}
    return found if len(found) == 2 else (None, *found)


def test_rows_ask_for_what_the_examples_say(tmp_path):
    """Those in config/jobs.yaml, as comments, put to use."""
    (examples,) = re.findall(r"^  models:\n(.*)", (ROOT / "config/jobs.yaml").read_text(), re.M | re.S)
    rows = dict(re.findall(r"^    # (\w+): (\{.*\})$", examples, re.M))  # of two for one row, the later
    assert len(rows) == 5
    jobs = {"steps": {"train": {"gpu": 8}}, "models": {row: yaml.safe_load(said) for row, said in rows.items()}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"jobs": jobs}))
    printed = dry_run("--profile", "slurm", "tables", "--configfile", str(tmp_path / "mine.yaml"))
    found = asked_for(printed, "gpu", "gres", "nodes", "mem_mb", "cpus_per_task")
    assert found["pix2pixhd"] == {"gpu": "1", "nodes": "1", "mem_mb": "24000", "cpus_per_task": "4"}
    assert found["oasis"] == {"gpu": "2", "mem_mb": "48000", "cpus_per_task": "8"}
    assert found["stage1"] == {"gpu": "4", "mem_mb": "64000", "cpus_per_task": "16"}
    assert found["one_stage"] == {"gres": "gpu:4", "nodes": "2", "mem_mb": "64000", "cpus_per_task": "16"}
    assert found["continuation"] == {"gpu": "8", "mem_mb": "24000", "cpus_per_task": "4"}


def test_set_resources_win():
    printed = dry_run("--profile", "slurm", "table1", "--set-resources", "train:mem_mb=5", "train:qos=long")
    found = asked_for(printed, "mem_mb", "qos", "runtime")
    assert found["stage1"] == found["spade"] == {"mem_mb": "5", "qos": "long", "runtime": "1440"}


@pytest.mark.parametrize(
    ("here", "asked", "takes"),
    [
        (0, "steps: {train: {gpu: 4}}", "0"),
        (2, "steps: {train: {gpu: 4}}, models: {spade: {gpu: 0}}", "2"),
        (8, "computing: {gres: 'gpu:4'}", "4"),
    ],
)
def test_here_jobs_take_the_gpus_that_there_are_and_memory(here, asked, takes):
    """Nothing that a queue alone knows: with a limit of time, the allocation around a shell would be requeued."""
    printed = dry_run("-p", "table1", "--config", f"machine={{gpus: {here}}}", f"jobs={{{asked}}}")
    found = asked_for(printed, r"\w+")["stage1"]
    assert found["gpu"] == takes
    assert found.keys() == {"tmpdir", "gpu", "mem_mb", "mem_mib", "mem"}
    assert told(printed, "train", "stage1") == (int(takes), int(takes))
    if "spade" in asked:
        assert asked_for(printed, "gpu")["spade"] == {"gpu": "0"} and told(printed, "train", "spade") == (0, 0)
    (sampling,) = set(re.findall(r"^rule sample:.*?resources: .*?\bgpu=(\d)", printed, re.M | re.S))
    assert sampling == ("4" if "gres" in asked else str(min(here, 1)))


def test_a_row_that_asks_for_no_gpu_gets_none_and_computes_without(tmp_path):
    """Nor its kind, where a site names one. Here, on a machine with GPUs: the test above."""
    (tmp_path / "config.yaml").write_text("executor: piti-slurm\njobs: 1\n")
    asks = "jobs={computing: {gpu_model: a100}, models: {spade: {gpu: 0}}}"
    printed = dry_run("-p", "--profile", str(tmp_path), "table1", "--config", asks)
    found = asked_for(printed, "gpu", "gpu_model")
    assert found["spade"] == {"gpu": "0"} and found["stage1"] == {"gpu": "1", "gpu_model": "a100"}
    assert told(printed, "train", "spade") == (0, 0) and told(printed, "train", "stage1") == (1, 1)


LIMIT = """
from snakemake.api import SnakemakeApi
from snakemake.resources import Resources
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings
one = Resources.parse(["gpu=1"], allow_expressions=False)
rows = (2, 1, None, None), (2, 4, None, None), (2, 4, None, one), (2, 4, 100, None), (0, 4, None, None)
for gpus, each, nodes, said in rows:
    with SnakemakeApi(OutputSettings(quiet={"all"})) as api:
        settings = ResourceSettings(cores=8, nodes=nodes, **({"resources": said} if said else {}))
        config = ConfigSettings(config={"preset": "smoke", "machine": {"gpus": gpus, "jobs_per_gpu": each}})
        workflow = api.workflow(resource_settings=settings, config_settings=config)._workflow
        print(workflow.global_resources.get("gpu").value)
"""


@pytest.mark.slow
def test_here_no_more_jobs_start_than_there_are_gpus_for():
    """`--resources gpu=N` by itself, unless somebody says it, or jobs may be submitted (`--jobs`)."""
    asked = run("-c", LIMIT)
    assert asked.stdout.split() == ["2", "8", "1", "None", "None"], asked.stderr


def test_the_steps_hear_of_plugins_and_of_the_machine():
    """Any module will do. A number need not be whole."""
    machine = "machine={save_minutes: 0.5, compile: true}"
    printed = dry_run("-p", "table1", "--config", "preset=smoke", "plugins=[colorsys]", machine)
    lines = re.findall(r"python -m piti\.steps\.\w+ .*", printed)
    assert lines and all(" --plugins colorsys " in line for line in lines)
    assert set(re.findall(r"piti\.steps\.train .* --save-minutes (\S+)", printed)) == {"0.5"}
    assert set(re.findall(r"piti\.steps\.train .* --compile (\S+)", printed)) == {"1"}


def test_what_computes_is_launched_and_told_when_to_leave_if_it_can():
    printed = dry_run("-p", "--profile", "slurm", "all", "--config", "preset=smoke")
    before = {name: words for words, name in re.findall(r"(python -m .*?)piti\.steps\.(\w+)", printed)}
    assert len(before) > 15
    for name, words in before.items():
        assert ("piti.run.launch" in words) == STEPS[name].computes, name
        assert (" --margin " in words) == ("minutes" in STEPS[name].options), name
        assert (" --cpus 4 " in words) == STEPS[name].computes, name


NO_GPU = not glob("/dev/nvidia[0-9]*")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("auto", {"train": (4, 4), "generate": (2, 1)} | ({"upsample": (None, 0)} if NO_GPU else {})),
        (8, {"train": (4, 4), "generate": (2, 1), "sample": (1, 1), "upsample": (1, 1)}),
        (0, {"train": (0, 0), "generate": (0, 0), "sample": (0, 0), "upsample": (0, 0)}),
    ],
)
def test_the_steps_hear_what_their_jobs_have(setting, expected, tmp_path):
    """A launcher's 0 is one process, which all work is but trainings, and forbids nothing."""
    asks = {
        "train": {"gpu": 4},
        "generate": {"gpu": 0, "gres": "gpu:a100:2"},
        "sample": {"gpu": 4, "gres": "gpu:2g.20gb"},
    } | ({"pack": {"cpus_per_task": 3}} if setting else {})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"set-resources": asks}))
    settings = ["preset=smoke", f"machine={{gpus: {setting}}}"]
    printed = dry_run("-p", "--profile", str(tmp_path), "table1", "--config", *settings)
    assert {step: told(printed, step) for step in expected} == expected
    assert set(re.findall(r"piti\.steps\.pack .* --threads (\d+)", printed)) == {"3" if setting else "1"}


def test_mistyped_settings_are_refused():
    """More of them: tests/unit/test_config.py."""
    asked = run("-m", "snakemake", "-n", "--config", "models={stage1: {setps: 3}}")
    assert asked.returncode != 0
    line = "configuration: models.stage1: unknown key 'setps'; nearest valid key: steps"
    assert line in asked.stdout + asked.stderr
    assert "Traceback" not in asked.stderr


# -- the graph ends at what exists -------------------------------------------------------------------------------------


def plans(folder: Path, *arguments: str, **user) -> str:
    """What an unforced dry run with this results folder prints."""
    settings = [f"{key}={json.dumps(value)}" for key, value in user.items()]
    folders = [f"results={folder}", f"downloads={folder}/downloads"]
    asked = run("-m", "snakemake", "-n", *arguments, "--config", *folders, *settings)
    assert asked.returncode == 0, asked.stdout + asked.stderr
    return asked.stdout


def brought(folder: Path, *steps: str, **user) -> list[Path]:
    """What somebody brings: all that these steps make, and nothing that it was made from."""
    plan, _, _ = resolve(load(user | {"results": str(folder)}, ROOT / "config"))
    found = [Path(artefact.path) for artefact in plan.artefacts.values() if artefact.step in steps]
    for path in found:
        path.parent.mkdir(parents=True)
        path.touch()
    return found


@pytest.mark.parametrize(
    "change",
    [
        {},
        {
            "shard_size": 100,
            "datasets": {"ade20k": {"path": "/data/ade20k/"}, "coco": {"train": 118286}},
            "weights": {"glide_base": {"path": "/data/glide.pt", "licence": "Expat"}},
        },
    ],
)
def test_somebodys_models_are_not_trained_again(tmp_path, change):
    brought(tmp_path / "models", "train")
    (tmp_path / "linked").symlink_to(tmp_path / "models")
    printed = plans(tmp_path / "linked", "table1", **change)
    assert jobs(printed).keys() >= {"sample", "pack", "draw_sketches"}
    assert "train" not in jobs(printed)
    assert "-test-mask256" in printed and "-train-" not in printed


def test_what_is_finished_is_not_asked_for_its_inputs(tmp_path, capsys):
    brought(tmp_path, "extract_features")
    found = jobs(plans(tmp_path, "table5"))
    assert found.keys() == {"score", "make_table", "publish_table", "table5", "total"}
    assert counted(capsys, "table5", results=str(tmp_path))[1] == found["total"]


@pytest.mark.slow
def test_what_is_gone_or_forced_is_made_again_with_all_that_it_takes(tmp_path):
    models = brought(tmp_path, "train")
    forced = jobs(plans(tmp_path, "table4", "-R", "train"))
    assert forced["train"] == jobs(plans(tmp_path / "new", "table4"))["train"]
    assert forced["pack"] > 1
    gone = next(path for path in models if path.parts[-3] == "two_stage-ade20k_mask")
    gone.unlink()
    assert jobs(plans(tmp_path, "table4"))["train"] == 1
    assert "-train-mask256" in plans(tmp_path, "table4")


@pytest.mark.parametrize("asked", [("-R", "score", "make_table"), ("-f",)])
def test_who_forces_one_step_trains_nothing(tmp_path, asked):
    brought(tmp_path, "train")
    assert "train" not in jobs(plans(tmp_path, "table4", *asked))


@pytest.mark.slow
def test_a_file_that_is_forced_is_made_again_with_what_it_takes(tmp_path):
    one = str(brought(tmp_path, "train")[0])
    for asked in (("-f", one), ("table4", "-R", one)):
        found = jobs(plans(tmp_path, *asked))
        assert found["train"] == 1 and found["pack"] > 0


@pytest.mark.slow
def test_a_published_table_of_another_configuration_is_replaced(tmp_path):
    """Whoever put it there, and however old what it should be a copy of."""
    _, tables, _ = resolve(load({"results": str(tmp_path)}, ROOT / "config"))
    table, published = Path(tables["table4"].path), tmp_path / "table4.csv"
    for name in ("table.csv", "long.csv", "table.md", "table.tex"):
        (table.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (table.parent / name).write_text("ours")
    for name in ("table4.csv", "table4.long.csv", "table4.md", "table4.tex"):
        (tmp_path / name).write_text("ours")
    assert "publish_table" not in jobs(plans(tmp_path, "table4"))
    published.write_text("somebody's")
    assert jobs(plans(tmp_path, "table4")).keys() == {"publish_table", "table4", "total"}
    assert jobs(plans(tmp_path, str(published))).keys() == {"publish_table", "total"}
    table.unlink()
    assert jobs(plans(tmp_path, str(published)))["make_table"] == 1


@pytest.mark.slow
def test_no_work_begins_on_photographs_that_have_changed(tmp_path):
    for number in range(6):
        path = tmp_path / f"data/images/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
    entry = {"path": str(tmp_path / "data"), "train": 4, "test": 2}
    user = {"preset": "smoke", "datasets": {"flickr": entry}}
    plan, _, _ = resolve(load(user | {"results": str(tmp_path / "results")}, ROOT / "config"))
    packs = [a for a in plan.artefacts.values() if a.given and a.name.startswith("flickr-test-images")]
    for artefact in packs:
        pack(artefact.card, artefact.given["root"], Path(artefact.path))
    target = next(a.path for a in plan.artefacts.values() if a.name == "flickr-test-mask32")
    settings = [f"{key}={json.dumps(value)}" for key, value in user.items()]
    settings += [f"results={tmp_path}/results", f"downloads={tmp_path}/downloads"]

    def asked(*dry: str):
        return run("-m", "snakemake", *dry, "--nolock", target, "--config", *settings)

    assert "photographs below" not in asked("-n").stderr
    for path in (tmp_path / "data/images").iterdir():
        Image.new("RGB", (9, 9), "red").save(path)
    dry, done, bare = asked("-n"), asked("--cores", "1"), asked("--cores", "1", "--no-hooks")
    assert (dry.returncode, done.returncode, bare.returncode) == (0, 1, 1)
    assert all("datasets.flickr: 2 photographs below" in one.stderr for one in (dry, done, bare))
    assert all("no work begins on data that have changed" in one.stderr for one in (done, bare))
    assert not Path(target).parent.exists()
