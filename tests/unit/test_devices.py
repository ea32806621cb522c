"""Where a job computes: never on less than it asked for, never on what torch cannot use, and it says why."""

import os
import subprocess
import sys

import pytest
import torch
from tests.unit.train import tiny

from piti.conditions import CONDITIONS
from piti.devices import autocast, compiled, device, is_compiled, number_type, require_served
from piti.store.files import InputError
from piti.train.initial import initial_model

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
        ((9, 0), ["gfx90a", "gfx1100"], False),  # torch for AMD
    ],
)
def test_only_gpus_that_torch_has_code_for_are_used(capability, built_for, served):
    if served:
        require_served("GPU", capability, built_for)
    else:
        with pytest.raises(InputError, match=f"found compute capability {capability[0]}.{capability[1]}, expected"):
            require_served("GPU", capability, built_for)


@pytest.mark.filterwarnings("ignore:CUDA is not available")
@pytest.mark.parametrize("asks", [autocast, number_type])
@pytest.mark.parametrize(("capability", "has"), [((7, 0), False), ((7, 5), False), ((8, 0), True), ((12, 0), True)])
def test_bf16_is_refused_on_gpus_without_it(asks, capability, has, monkeypatch):
    """As a GPU would say it of itself: T4 and RTX 20 have 7.5, A100 8.0."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    asks(torch.device("cuda", 0), "fp32")
    if has:
        asks(torch.device("cuda", 0), "bf16")
    else:
        with pytest.raises(InputError, match=r"compute capability 7\.[05], expected 8\.0 for bf16; `precision: fp32`"):
            asks(torch.device("cuda", 0), "bf16")


@pytest.mark.slow
@tiny.needs_compiler
def test_compiled_networks_draw_the_dropout_that_they_draw_uncompiled():
    card = tiny.card(dropout=0.5)
    plain, fast = (initial_model(card, None).to(memory_format=torch.channels_last).train() for _ in range(2))
    weights = tiny.stirred(plain)
    for network in (plain, fast):
        network.load_state_dict(weights)
    compiled(fast)
    resolution, channels = card.base_resolution, CONDITIONS[card.condition].channels
    x, condition = (
        torch.randn(2, 3, resolution, resolution),
        torch.randn(2, channels, card.encoder.resolution, card.encoder.resolution),
    )
    outputs = []
    for seed in (1, 2):
        for network in (plain, fast):
            torch.manual_seed(seed)
            outputs.append(network(x, torch.tensor([3.0, 70.0]), condition))
    for one, other in (outputs[:2], outputs[2:]):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    assert (outputs[0] - outputs[2]).abs().max() > 0.1  # dropout it is
    assert fast.state_dict().keys() == plain.state_dict().keys()
    assert is_compiled(fast) and not is_compiled(plain)
