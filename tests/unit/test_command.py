"""The command line of a step: bad input is one line and exit code 2, failures are handed on, card.json says it all."""

import contextlib
import errno
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

import piti
from piti.cards.base import digest
from piti.run import command
from piti.run.command import Step
from piti.run.launch import QUEUED_AGAIN, TORCHRUN
from piti.store import lease, provenance
from piti.store.files import InputError, failure, write_failure


@dataclass(frozen=True, kw_only=True)
class ToyCard:
    resolution: int
    label: str = ""


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Run a function as a step in this process: call(run, *arguments, **declared) -> the output's path."""

    def run_step(run, *arguments, card='{"resolution": 4}', **declared):
        output = tmp_path / "made" / "output.txt"
        monkeypatch.setattr(sys, "argv", ["step", "--card", str(card), "--output", str(output), *map(str, arguments)])
        Step(run, "toys", output.name, **declared).main()
        return output

    return run_step


def write(card: ToyCard, output: Path, real: list[Path] = ()):
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(f"{card.resolution}")


def refused(capsys, call, *arguments, run=write, **declared) -> str:
    """The one line on stderr of a step that ends with exit code 2 and makes nothing."""
    with pytest.raises(SystemExit) as end:
        call(run, *arguments, **declared)
    assert end.value.code == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    (line,) = streams.err.splitlines()
    return line


def test_the_commit_is_the_one_that_the_work_began_with(call, monkeypatch):
    commits = ["first"]
    monkeypatch.setattr(provenance, "_git", lambda *_: commits[-1])
    provenance.started_as.cache_clear()

    def run(card: ToyCard, output: Path):
        write(card, output)
        commits.append("second")

    made = json.loads(call(run).with_name("card.json").read_text())["made"]
    provenance.started_as.cache_clear()
    assert made["commit"] == "first"


def test_options_are_the_parameters_of_the_function(call, tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).touch()
    got = {}

    def run(
        card: ToyCard,
        output: Path,
        real_ones: list[Path],
        low_res: Path,
        spare: Path | None = None,
        more: list[Path] = (),
        gpus: int | None = None,
        batch_size: int = 2,
        workers: int = 3,
        minutes: float = 0.0,
    ):
        got.update({key: value for key, value in locals().items() if key not in ("card", "output", "got")})
        write(card, output)

    call(
        run, "--real-ones", tmp_path / "a", tmp_path / "b", "--low-res", tmp_path / "c", "--batch-size", 8,
        "--minutes", 2.5,
    )  # fmt: skip
    assert got == {
        "real_ones": [tmp_path / "a", tmp_path / "b"],
        "low_res": tmp_path / "c",
        "spare": None,
        "more": (),
        "gpus": None,
        "batch_size": 8,
        "workers": 3,
        "minutes": 2.5,
    }
    call(
        run, "--real-ones", tmp_path / "a", "--low-res", tmp_path / "b", "--spare", tmp_path / "c", "--more",
        tmp_path / "a", tmp_path / "b", "--gpus", 0,
    )  # fmt: skip
    assert (got["spare"], got["more"], got["gpus"]) == (tmp_path / "c", [tmp_path / "a", tmp_path / "b"], 0)


@pytest.mark.parametrize("given", [(), ("--model", "a", "b")])
def test_what_the_function_asks_for_is_one_file(capsys, call, given):
    def run(card: ToyCard, output: Path, model: Path):
        pytest.fail("worked")

    with pytest.raises(SystemExit) as end:
        call(run, *given)
    assert end.value.code == 2
    assert "usage: " in capsys.readouterr().err


def test_plugins_are_loaded_before_the_card_is_read(capsys, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "toy_plugin.py").write_text("print('loaded')")
    plain = json.loads(call(write).with_name("card.json").read_text())["made"]["code"]
    with pytest.raises(SystemExit):
        call(write, "--plugins", "toy_plugin", card="{}")
    assert capsys.readouterr().out == "loaded\n"
    made = json.loads(call(write, "--plugins", "toy_plugin").with_name("card.json").read_text())["made"]
    assert made["code"] != plain
    del sys.modules["toy_plugin"]


def test_a_plugin_that_is_not_there(capsys, call):
    line = refused(capsys, call, "--plugins", "absent_plugin")
    assert line.startswith("error: plugins: found no module absent_plugin")


def test_card_json_says_what_was_made(call, tmp_path):
    (tmp_path / "a").touch()

    def run(card: ToyCard, output: Path, real: Path, spare: Path | None = None):
        write(card, output)
        return {"images": 7}

    output = call(run, "--real", tmp_path / "a")
    about = json.loads((output.parent / "card.json").read_text())
    assert about["step"] == "test_command"  # the module's name
    assert about["card"] == {"resolution": 4}
    assert about["digest"] == digest(ToyCard(resolution=4))
    assert about["inputs"] == {"real": [str(tmp_path / "a")]}
    assert about["made"]["images"] == 7
    assert about["made"].keys() >= {"code", "seconds", "python", "libraries", "commit"}


def test_a_written_card_runs_the_step_again(call):
    output = call(write)
    again = call(write, card=output.parent / "card.json")
    assert again.read_text() == "4"


def test_a_written_card_that_has_changed_is_refused(capsys, call):
    path = call(write).with_name("card.json")
    path.write_text(path.read_text().replace('"resolution": 4', '"resolution": 5'))
    path.with_name("output.txt").unlink()
    with pytest.raises(SystemExit):
        call(write, card=path)
    assert capsys.readouterr().err.startswith(f"error: {path}: digest: found ")


def test_missing_input_file(capsys, call, tmp_path):
    path = tmp_path / "missing.h5"
    assert refused(capsys, call, "--real", path) == f"error: {path}: no such file or folder"
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("card", "line"),
    [
        ('{"side": ', "error: --card: not JSON ("),
        ("nowhere.json", "error: nowhere.json: no such file"),
        ('{"resolutionn": 4}', "error: unknown key 'resolutionn'; nearest valid key: resolution"),
        ('{"resolution": "big"}', "error: resolution: found 'big', expected a whole number"),
        ("{}", "error: resolution: missing (expected a whole number)"),
    ],
)
def test_bad_card(capsys, call, tmp_path, card, line):
    assert refused(capsys, call, card=card).startswith(line)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("content", ["3", "[1]", "not JSON"])
def test_bad_card_file(capsys, call, tmp_path, content):
    path = tmp_path / "card.json"
    path.write_text(content)
    assert refused(capsys, call, card=path).startswith("error: ")


def test_input_that_the_work_refuses(capsys, call, tmp_path):
    def run(card: ToyCard, output: Path):
        raise InputError("a.png: size: found 3x4, expected 4x4")

    assert refused(capsys, call, run=run) == "error: a.png: size: found 3x4, expected 4x4"
    assert not (tmp_path / "made").exists()


def test_what_is_forced_is_made_again_from_nothing_and_what_was_killed_is_continued(call, tmp_path):
    """Snakemake removes the main file of what it is to make again; the shards beside it would be taken for new."""
    parts = []

    def run(card: ToyCard, output: Path):
        output.parent.mkdir(parents=True, exist_ok=True)
        parts.append(sorted(path.name for path in output.parent.glob("shard*")))
        output.with_name("shard-00000.h5").touch()
        output.write_text("whole")

    made = call(run)
    made.unlink()
    call(run)
    made.unlink()
    made.with_name("card.json").unlink()  # killed before the card was written
    call(run)
    assert parts == [[], [], ["shard-00000.h5"]]


def test_a_fault_is_not_dressed_up_as_bad_input(call):
    def run(card: ToyCard, output: Path):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call(run)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x.json"),
        RuntimeError("Unable to synchronously flush file\n(errno = 28, error message = 'No space left on device')"),
    ],
)
def test_a_disk_that_refuses_is_one_line(capsys, call, error):
    def run(card: ToyCard, output: Path):
        raise error

    line = refused(capsys, call, run=run)
    assert line.startswith("error: ") and "No space left on device" in line


def test_an_input_that_has_changed_since_it_was_made_is_refused(capsys, call, tmp_path):
    path = call(write).rename(tmp_path / "score.json")
    (tmp_path / "made/card.json").rename(tmp_path / "card.json")
    about = json.loads((tmp_path / "card.json").read_text())
    about["made"]["files"] = {path.name: about["made"]["files"]["output.txt"]}
    (tmp_path / "card.json").write_text(json.dumps(about))
    output = call(write, "--real", path)
    output.unlink()
    path.write_text("5")
    assert refused(capsys, call, "--real", path).startswith(f"error: {path}: found sha256 ")
    assert not output.exists()


@pytest.mark.parametrize("folder", [".", "/"])
def test_an_input_may_be_the_folder_where_one_works(call, folder):
    def run(card: ToyCard, output: Path, folder: Path):
        output.write_text(str(folder))

    assert call(run, "--folder", folder).read_text() == folder


def test_what_lies_beside_an_input_has_not_changed_either(capsys, call, tmp_path):
    def two(card: ToyCard, output: Path):
        write(card, output)
        output.with_name("long.csv").write_text("1")

    made = call(two, beside=("long.csv",)).parent.rename(tmp_path / "input")
    (made / "long.csv").write_text("2")
    line = refused(capsys, call, "--real", made / "output.txt")
    assert line.startswith(f"error: {made / 'long.csv'}: found sha256 ")


def test_a_folder_lies_beside_the_output(call):
    def two(card: ToyCard, output: Path):
        write(card, output)
        output.with_name("page").mkdir()

    about = json.loads(call(two, beside=("page/",)).with_name("card.json").read_text())
    assert about["made"]["files"].keys() == {"output.txt"}


def test_of_several_processes_the_first_one_writes_the_card(call, monkeypatch):
    for name in TORCHRUN:
        monkeypatch.setenv(name, "2")
    monkeypatch.setenv("RANK", "1")
    assert not call(write).with_name("card.json").exists()
    monkeypatch.setenv("RANK", "0")
    assert call(write).with_name("card.json").exists()


def test_a_failure_is_handed_on_without_work(call, tmp_path):
    write_failure([tmp_path / "weights"], "diverged")

    def run(card: ToyCard, output: Path, model: Path):
        pytest.fail("worked on a failure")

    output = call(run, "--model", tmp_path / "weights", beside=("curve.csv",))
    assert failure(output) == "diverged"
    assert failure(output.with_name("curve.csv")) == "diverged"
    assert json.loads(output.with_name("card.json").read_text())["card"] == {"resolution": 4}


def test_a_table_receives_failures_to_print_them(call, tmp_path):
    write_failure([tmp_path / "score"], "diverged")
    output = call(write, "--real", tmp_path / "score", hands_on_failure=False)
    assert failure(output) is None


@pytest.mark.parametrize(
    ("environment", "computes", "waits"),
    [
        ({}, True, True),
        ({"SLURM_JOB_ID": "7"}, True, True),  # nobody would queue it again
        ({QUEUED_AGAIN: "7"}, False, True),
        ({QUEUED_AGAIN: "7"}, True, False),
    ],
)
def test_a_job_with_gpus_gives_them_back_where_another_works(
    call, capsys, tmp_path, monkeypatch, environment, computes, waits
):
    def compute(card: ToyCard, output: Path, gpus: int | None = None):
        write(card, output)

    for name in (QUEUED_AGAIN, *TORCHRUN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(command, "PATIENCE", 0.1)
    monkeypatch.setattr(lease, "WORD", 0.2)
    with contextlib.ExitStack() as other:
        other.enter_context(lease.exclusive(tmp_path / "made"))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        ends = threading.Timer(1.0, other.close)
        ends.start()
        with contextlib.nullcontext() if waits else pytest.raises(SystemExit, match=r"^75$"):
            call(compute if computes else write)
        ends.join()
    who = rf"{tmp_path}/made/.lease: in use by process {os.getpid()} of \S+ on \S+ since [-\d]+ [\d:]+; "
    assert re.fullmatch(who + ("waiting for it\n" if waits else "to be started again\n"), capsys.readouterr().err)
    assert (tmp_path / "made/output.txt").exists() == waits


def test_what_another_job_makes_meanwhile_is_left_as_it_is(call, capsys, tmp_path, monkeypatch):
    """Two runs begin together on one folder: to make it again would take it away from under whoever reads it."""
    monkeypatch.setattr(lease, "WORD", 0.2)
    for again in (True, False):  # made by another while we wait, made before we came
        with contextlib.ExitStack() as other:
            other.enter_context(lease.exclusive(tmp_path / "made"))

            def ends(again=again, other=other):
                if again:
                    (tmp_path / "made/output.txt").write_text("theirs")
                    (tmp_path / "made/card.json").write_text("{}")
                other.close()

            timer = threading.Timer(1.0, ends)
            timer.start()
            call(write)
            timer.join()
        assert ("made by another job" in capsys.readouterr().err) == again
        assert (tmp_path / "made/output.txt").read_text() == ("theirs" if again else "4")


def test_of_several_processes_none_waits_for_long(monkeypatch):
    """The others would: torch's patience with a process group is ten minutes."""
    monkeypatch.delenv(QUEUED_AGAIN, raising=False)
    assert command.patience() == math.inf
    for name in TORCHRUN:
        monkeypatch.setenv(name, "2")
    assert command.patience() + lease.SPAN < 600


def test_a_real_step_in_its_own_process(tmp_path):
    arguments = ["--card", '{"reel": ""}', "--real", tmp_path, "--fake", tmp_path, "--output", tmp_path / "score.json"]
    environment = os.environ | {"PYTHONPATH": str(Path(piti.__file__).parents[1])}
    line = [sys.executable, "-m", "piti.steps.score", *map(str, arguments)]
    run = subprocess.run(line, capture_output=True, text=True, env=environment)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "error: unknown key 'reel'; nearest valid key: real\n"
    assert not list(tmp_path.iterdir())


SLEEPS = """'Never ends.'

import time
from dataclasses import dataclass
from pathlib import Path
from piti.run.command import step
from piti.store.files import atomic

@dataclass(frozen=True)
class Card:
    seed: int = 0

@step(leg="toys", makes="whole.txt")
def run(card: Card, output: Path):
    output.parent.mkdir(exist_ok=True)
    with atomic(output) as temporary:
        temporary.write_text("half")
        print("writes", flush=True)
        time.sleep(60)
"""


def test_whatever_a_step_does_when_sigterm_comes_it_asks_to_be_started_again(tmp_path):
    """Also a training that begins, looks at its pictures or writes its weights: its loop is not there to hear it."""
    (tmp_path / "sleeps.py").write_text(SLEEPS)
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{Path(piti.__file__).parents[1]}"}
    line = [sys.executable, "-m", "sleeps", "--card", "{}", "--output", str(tmp_path / "made/whole.txt")]
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writes\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 75
    assert not list((tmp_path / "made").glob("*.txt*"))
