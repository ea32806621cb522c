"""Which timesteps to train on: uniformly, or where the loss is large (facts 1.2).

A sampler maps uniform numbers u in [0, 1) to timesteps and importance weights, so that the caller decides the seeds.
"""

import torch
from torch import nn


class UniformSampler(nn.Module):
    """Every timestep equally often, weight 1."""

    def __init__(self, num_timesteps: int):
        super().__init__()
        self.num_timesteps = num_timesteps

    def sample(self, u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Timesteps (int64) and weights (float32), each as long as `u`."""
        t = (u * self.num_timesteps).long().clamp(max=self.num_timesteps - 1)
        return t, torch.ones_like(t, dtype=torch.float32)

    def update(self, t: torch.Tensor, losses: torch.Tensor) -> None:
        """Losses change nothing."""


class LossSecondMomentSampler(nn.Module):
    """In proportion to sqrt(mean loss²) of a timestep's last losses; uniformly until every timestep has enough of them.

    The history is buffers on the device: it is saved with `state_dict`, and neither method waits for the device.
    """

    def __init__(self, num_timesteps: int, history_per_term: int = 10, uniform_prob: float = 0.001):
        super().__init__()
        self.num_timesteps, self.history, self.uniform_prob = num_timesteps, history_per_term, uniform_prob
        # rings of losses; the row after the last timestep takes what is thrown away
        self.register_buffer("losses", torch.zeros(num_timesteps + 1, history_per_term, dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(num_timesteps, dtype=torch.int64))

    def weights(self) -> torch.Tensor:
        """Relative frequency of each timestep, float64: ones at first, later a distribution."""
        weights = (self.losses[:-1] ** 2).mean(dim=1).sqrt()
        weights = weights / weights.sum().clamp(min=torch.finfo(torch.float64).tiny)
        weights = weights * (1 - self.uniform_prob) + self.uniform_prob / self.num_timesteps
        warm = (self.counts >= self.history).all()
        return torch.where(warm, weights, torch.ones_like(weights))

    def importance(self) -> torch.Tensor:
        """1 / (T p_t), float64: what makes the expected loss that of uniform sampling."""
        weights = self.weights()
        return weights.sum() / (self.num_timesteps * weights)

    def sample(self, u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Timesteps (int64) and importance weights (float32), each as long as `u`."""
        cumulative = self.weights().cumsum(dim=0)
        t = torch.searchsorted(cumulative, u.double() * cumulative[-1], right=True).clamp(max=self.num_timesteps - 1)
        return t, self.importance()[t].float()

    @torch.no_grad()
    def update(self, t: torch.Tensor, losses: torch.Tensor) -> None:
        """Append `losses` (B) of the timesteps `t` (B), in order: the whole global batch, the same on all ranks."""
        same = t[:, None] == t[None, :]
        before, after = same.tril(-1).sum(dim=1), same.triu(1).sum(dim=1)
        slot = (self.counts[t] + before) % self.history
        row = torch.where(after < self.history, t, self.num_timesteps)  # what this batch itself pushes out
        self.losses[row, slot] = losses.double()
        self.counts.index_add_(0, t, torch.ones_like(t))
