"""Commands do their work as they are typed on the pages, in a clone: README's, and those of docs that take seconds.

tests/house/test_commands.py looks up what all pages show, and that README's are run. Here they are: only the
reader's own names are replaced.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.flow.clone import clone
from tests.house import ROOT
from tests.house.pages import shown

# What takes a machine longer than a test may.
TOO_LONG = {
    "make reproduce": "a quarter of an hour; tests/flow/test_one_column.py makes a column of it",
    "make mini": "90 minutes",
    "make claims": "half a day",
    "make test": "is what runs this",
    ". .venv/bin/activate": "every command below has it before it",
}
COMMANDS = [command.text for command in shown(ROOT / "README.md")]
# Of docs: page, command, its exit code, what it says.
OF_DOCS = [
    ("cost", "make plan TABLE=table3a", 0, r"paper preset, table3a"),
    ("cost", "make plan GPU=H100", 0, r"H100, modelled"),
    ("outputs", "piti status --config preset=smoke", 0, r""),
    ("outputs", "snakemake -n all", 0, r"\nall +1\n"),
    ("outputs", "snakemake results/table1.csv", 1, r"found about [\d,]+ days of work"),
    ("outputs", "make gc PRESET=smoke", 0, r""),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A clone with the environment that runs this, scenes drawn, and photographs and label maps of one's own."""
    folder = clone(tmp_path_factory.mktemp("clone"))
    for name in ("Makefile", "pyproject.toml", "README.md"):
        shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "slurm").symlink_to("config/profiles/slurm")
    for kind, name, channels in (("images", "{}.jpg", 3), ("labels", "{}.png", 1)):
        (folder / "landscapes" / kind).mkdir(parents=True)
        for number in range(3):
            picture = np.random.default_rng(number).integers(0, 91, (300, 320, channels), np.uint8)
            cv2.imwrite(str(folder / "landscapes" / kind / name.format(number)), picture)
    code, said = typed(folder, "snakemake --quiet --cores 2 --config preset=smoke --until draw_scenes -- table1")
    assert code == 0, said
    return folder


def typed(folder: Path, command: str) -> tuple[int, str]:
    """Its exit code, and all that it prints, in a shell where the environment is active."""
    line = f". .venv/bin/activate && {command}"
    free = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(["bash", "-c", line], cwd=folder, env=free, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


def the(start: str) -> str:
    """The one command of README that starts so."""
    (found,) = (command for command in COMMANDS if command.startswith(start))
    return found


def test_real_images_have_no_distance_to_themselves(folder):
    code, said = typed(folder, the("piti score"))
    assert code == 0, said
    assert re.search(r"\b0\.0", said), said


def test_a_folder_of_ones_own_is_checked(folder):
    code, said = typed(folder, the("piti check").replace("/data/landscapes", "landscapes"))
    assert code == 0, said
    assert "landscapes (train): found 2 photographs" in said


def test_the_plan_says_hours(folder):
    code, said = typed(folder, the("make plan"))
    assert code == 0, said
    assert re.search(r"^train +\d+", said, re.M) and "A100" in said


def test_the_whole_paper_is_planned_for_slurm(folder):
    """A dry run asks no controller; tests/slurm submits to one."""
    code, said = typed(folder, the("snakemake --profile slurm all") + " -n --quiet")
    assert code == 0, said


def test_the_authors_weights_are_asked_for_by_name(folder):
    """tests/unit has files of their names and shapes; who has none is told which is missing, in one line."""
    code, said = typed(folder, the("piti translate"))
    assert code == 2 and len(said.strip().splitlines()) == 1, said


@pytest.mark.parametrize(("command", "code", "says"), [case[1:] for case in OF_DOCS])
def test_a_command_of_docs(folder, command, code, says):
    found, said = typed(folder, command)
    assert found == code and re.search(says, said), said
