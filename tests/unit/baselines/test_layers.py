"""Spectral norm against torch's old one and against linear algebra."""

import copy

import pytest
import torch
from tests.unit.train import tiny
from torch import nn

from piti.baselines.layers import SpectralConv2d, init_convolutions, shrink, xavier
from piti.devices import compiled


def twins():
    ours = SpectralConv2d(5, 7, 3, padding=1)
    init_convolutions(ours, xavier, torch.Generator().manual_seed(0))
    theirs = nn.utils.spectral_norm(nn.Conv2d(5, 7, 3, padding=1))
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.filterwarnings("ignore")
def test_agrees_with_torch_in_values_gradients_and_buffers():
    ours, theirs = twins()
    x = torch.randn(2, 5, 8, 8, generator=torch.Generator().manual_seed(1))
    sums = [0, 0]
    for _ in range(2):  # both forwards before the backward: what it needs must not be overwritten
        outs = ours(x), theirs(x)
        torch.testing.assert_close(*outs)
        sums = [total + (out**2).sum() for total, out in zip(sums, outs, strict=True)]
    for layer, total in zip((ours, theirs), sums, strict=True):
        total.backward()
        layer.eval()
    torch.testing.assert_close(ours.weight_orig.grad, theirs.weight_orig.grad)
    torch.testing.assert_close(ours(x), theirs(x))
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)


@pytest.mark.slow  # the compiler's own time
@tiny.needs_compiler
def test_compiled_layers_bear_two_forwards_before_a_backward():
    """As OASIS's discriminator has them. In float64, for compiled code rounds otherwise."""
    plain = nn.Sequential(SpectralConv2d(3, 4, 3), nn.LeakyReLU(0.2), SpectralConv2d(4, 4, 3)).double()
    fast = compiled(copy.deepcopy(plain))
    pictures = torch.randn(2, 1, 3, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    for net in (plain, fast):
        sum((net(picture) ** 2).sum() for picture in pictures).backward()
    for ours, theirs in zip(fast.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(fast.state_dict()[name], value)


def test_largest_singular_value_becomes_one():
    layer, _ = twins()
    for _ in range(100):
        layer(torch.zeros(1, 5, 8, 8))
    with torch.no_grad():
        layer.bias.zero_()
        layer.eval()
        matrix = layer(torch.eye(45).reshape(45, 5, 3, 3))[:, :, 1, 1]  # responses to each unit patch
    assert torch.linalg.matrix_norm(matrix, 2).item() == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("resolution", [64, 32, 2])
def test_shrink_picks_the_pixels_that_interpolate_picks(resolution):
    condition = torch.randn(2, 3, 64, 64)
    assert torch.equal(
        shrink(condition, resolution),
        nn.functional.interpolate(condition, size=(resolution, resolution), mode="nearest"),
    )
