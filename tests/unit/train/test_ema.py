"""The moving average of weights."""

import torch

from piti.train.ema import ema_update


def test_a_constant_source_is_approached_geometrically():
    target, source = [torch.zeros(3), torch.zeros(2, 2)], [torch.ones(3), torch.full((2, 2), 4.0, requires_grad=True)]
    for _ in range(5):
        ema_update(target, source, rate=0.9)
    for got, value in zip(target, (1.0, 4.0), strict=True):
        torch.testing.assert_close(got, torch.full_like(got, value * (1 - 0.9**5)))
        assert not got.requires_grad
