"""A job that cannot compute as it was told ends at once and says why, in every step that computes."""

import os
import subprocess
import sys

import pytest

from piti.store.files import InputError
from tests.gpu.project import tasks, with_losses
from tests.gpu.record import clean

STEPS = {task.step: name for name, task in tasks().items()}
CHEAP = next(name for name in tasks() if name.startswith("train pix2pixhd"))
# The first kernel or convolution on the CPU is as far as a step may come; it is not done, for it would take minutes.
SCRIPT = """
import sys
from pathlib import Path

import torch
from tests.gpu.project import drawn, tasks


class Computes(BaseException):
    pass


def computed(*_, **__):
    raise Computes("on the CPU")


torch.nn.Module.__call__ = computed
for name in sys.argv[2:]:
    task = tasks()[name]
    try:
        task.run(Path(sys.argv[1]) / task.step, drawn(task.card), gpus=1)
    except BaseException as error:
        print(task.step, type(error).__name__, *str(error).splitlines()[:1])
"""


@pytest.fixture(scope="module")
def without_gpus(tmp_path_factory) -> dict[str, str]:
    """Step -> what it says where the GPU that it asks for is missing."""
    line = [sys.executable, "-c", SCRIPT, str(tmp_path_factory.mktemp("without")), *STEPS.values()]
    done = subprocess.run(line, env=os.environ | {"STUB_GPUS": "0"}, stdout=subprocess.PIPE, text=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize("step", STEPS)
def test_without_the_gpu_that_it_asks_for(step, without_gpus):
    assert without_gpus[step].startswith("InputError gpus: found none"), without_gpus[step]


@pytest.mark.parametrize("variables", [{"RANK": "1"}, {"WORLD_SIZE": "2"}, {"RANK": "0", "WORLD_SIZE": "2"}], ids=str)
def test_a_part_of_torchruns_variables(variables, tmp_path, monkeypatch):
    """Whoever computes alone would spoil the others' files, or wait for them for ever."""
    clean()
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(InputError, match=r"RANK|WORLD_SIZE"):
        tasks()[CHEAP].run(tmp_path / "alone", with_losses(tasks()[CHEAP].card, 1))
