"""Where a job computes: never on less than it asked for, never on what torch cannot use, and it says why."""

import os
import subprocess
import sys

import pytest
import torch

from piti.devices import compiled, device, is_compiled, require_served
from piti.files import InputError

NO_GPU = not torch.cuda.is_available()
CUDA_13 = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]


@pytest.mark.skipif(not NO_GPU, reason="there is a GPU")
def test_a_job_that_asked_for_a_gpu_does_not_compute_on_a_cpu():
    with pytest.raises(InputError, match=r"gpus: found none that torch can use, expected 2 .* NVIDIA driver"):
        device(2)


def test_none_asked_for_is_the_cpu():
    assert device(0) == torch.device("cpu")


@pytest.mark.skipif(not NO_GPU, reason="there is a GPU")
@pytest.mark.parametrize("step", ["sample", "extract_features", "draw_sketches", "measure_alignment", "train"])
def test_the_steps_hand_on_what_the_job_asked_for(step):
    """By their own command line: they know the option."""
    said = subprocess.run(
        [sys.executable, "-m", f"piti.steps.{step}", "--help"],
        env=os.environ | {"PYTHONPATH": "src"},
        capture_output=True,
        text=True,
    )
    assert "--gpus N" in said.stdout


@pytest.mark.parametrize(
    ("capability", "built_for", "served"),
    [
        ((7, 0), CUDA_13, False),  # V100
        ((7, 5), CUDA_13, True),  # T4
        ((8, 0), CUDA_13, True),  # A100
        ((8, 9), CUDA_13, True),  # L40S: by the code for 8.6
        ((10, 3), CUDA_13, True),
        ((12, 1), CUDA_13, True),
        ((13, 0), CUDA_13, True),  # by PTX
        ((9, 0), ["sm_80"], False),
        ((9, 0), ["sm_90a"], True),
        ((6, 1), ["sm_70", "compute_70"], False),
    ],
)
def test_only_gpus_that_torch_has_code_for_are_used(capability, built_for, served):
    if served:
        require_served("GPU", capability, built_for)
    else:
        with pytest.raises(InputError, match=f"found compute capability {capability[0]}.{capability[1]}, expected"):
            require_served("GPU", capability, built_for)


def test_compiled_networks_draw_the_dropout_that_they_draw_uncompiled():
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.SiLU(), torch.nn.Dropout(0.5), torch.nn.Linear(64, 4))
    fast = compiled(torch.nn.Sequential(*plain))
    x = torch.randn(8, 16)
    for seed in (1, 2):
        outputs = []
        for network in (plain, fast):
            torch.manual_seed(seed)
            outputs.append(network(x))
        torch.testing.assert_close(*outputs)
    assert fast.state_dict().keys() == plain.state_dict().keys()
    assert is_compiled(fast) and not is_compiled(plain)
