"""Spectral norm against torch's old one and against linear algebra."""

import pytest
import torch
from torch import nn

from piti.baselines.layers import SpectralConv2d, init_convolutions, shrink, xavier


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
    for _ in range(2):  # both forwards before the backward: the buffers must not be overwritten under autograd
        ours_out, theirs_out = ours(x), theirs(x)
        torch.testing.assert_close(ours_out, theirs_out)
    for layer, out in ((ours, ours_out), (theirs, theirs_out)):
        (out**2).sum().backward()
        layer.eval()
    torch.testing.assert_close(ours.weight_orig.grad, theirs.weight_orig.grad)
    torch.testing.assert_close(ours(x), theirs(x))
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)


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
