"""Timestep samplers: unbiased, resumable, and the same as a plain loop over queues."""

from collections import deque

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from piti.diffusion.timesteps import LossSecondMomentSampler, UniformSampler


def test_uniform_covers_every_step_equally():
    t, weights = UniformSampler(10).sample((torch.arange(1000) + 0.5) / 1000)
    assert torch.equal(t.bincount(), torch.full((10,), 100)) and (weights == 1).all()
    assert UniformSampler(10).sample(torch.tensor([0.0, 1.0]))[0].tolist() == [0, 9]


@settings(max_examples=30, deadline=None)
@given(
    batches=st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 50)), min_size=1, max_size=25), max_size=8)
)
def test_history_is_that_of_queues(batches):
    sampler, queues = LossSecondMomentSampler(4, history_per_term=3), [deque(maxlen=3) for _ in range(4)]
    for batch in batches:
        t, losses = zip(*batch, strict=True)
        sampler.update(torch.tensor(t), torch.tensor(losses, dtype=torch.float32))
        for step, loss in batch:
            queues[step].append(float(loss))
    assert [sorted(q) for q in queues] == [
        sorted(row[:n].tolist()) for row, n in zip(sampler.losses, sampler.counts.clamp(max=3), strict=False)
    ]
    warm = all(len(q) == 3 for q in queues)
    want = torch.ones(4, dtype=torch.float64)
    if warm:
        want = torch.tensor([(sum(v * v for v in q) / 3) ** 0.5 for q in queues], dtype=torch.float64)
        want = want / want.sum() * 0.999 + 0.001 / 4
    torch.testing.assert_close(sampler.weights(), want)


def warm_sampler():
    sampler = LossSecondMomentSampler(5, history_per_term=2)
    sampler.update(torch.arange(5).repeat(2), torch.tensor([1.0, 2, 3, 4, 10]).repeat(2))
    return sampler


def test_frequencies_follow_the_weights_and_importance_undoes_them():
    sampler = warm_sampler()
    t, weights = sampler.sample((torch.arange(100_000) + 0.5) / 100_000)
    torch.testing.assert_close(t.bincount() / len(t), sampler.weights().float(), rtol=1e-3, atol=1e-4)
    loss_of = torch.tensor([0.1, 5.0, 2.0, 7.0, 1.0])
    torch.testing.assert_close((weights * loss_of[t]).mean(), loss_of.mean(), rtol=1e-3, atol=1e-3)
    assert weights.dtype == torch.float32


def test_history_is_saved():
    sampler, resumed = warm_sampler(), LossSecondMomentSampler(5, history_per_term=2)
    resumed.load_state_dict(sampler.state_dict())
    for each in (sampler, resumed):
        each.update(torch.tensor([4, 4, 0]), torch.tensor([0.5, 0.25, 9.0]))
    assert torch.equal(sampler.weights(), resumed.weights())


def test_zero_losses_do_no_harm():
    sampler = LossSecondMomentSampler(3, history_per_term=1)
    sampler.update(torch.arange(3), torch.zeros(3))
    t, weights = sampler.sample(torch.tensor([0.0, 0.5, 0.999]))
    assert t.tolist() == [0, 1, 2] and weights.isfinite().all()
