"""Intervals for biased scores: the delete-a-group jackknife.

A Fréchet distance falls with the number of samples, by about b/n. Resampling with replacement repeats samples, acts
like a smaller n, and its interval does not even contain the estimate. The jackknife leaves samples out instead, and
the known size of what was left out cancels the bias (Busing, Meijer & van der Leeden 1999, unequal groups).

With n samples in G groups of sizes m_j, θ the estimate and θ_(j) the estimate without group j, the pseudo-values

    p_j = (n θ - (n - m_j) θ_(j)) / m_j

have the mean, weighted by m_j, `debiased`: the estimate extrapolated to infinite n. The variance of θ is

    (1/G) Σ m_j / (n - m_j) · (p_j - debiased)²

For the difference of two methods the pseudo-values are subtracted group by group: what both share, the reference above
all, cancels. The interval holds the expected score *at this n*, hence compare at equal n only.

Several trainings of one method are scored on the same images. The variance of their mean is that over the trainings,
s²/k, and that over the images, the jackknife's of the mean; so an interval holds what another training *and* other test
images would give. Its reach is the root of the sum of squares of the reaches of Student's two intervals, over either
alone. (One number of degrees of freedom for both, Welch's and Satterthwaite's, makes it too narrow: where three
trainings agree by chance, it takes them for many. What images and trainings do together counts in both, so this one is
rather too wide.)
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit


@dataclass(frozen=True)
class Estimate:
    """A score with what its jackknife left behind; differences of estimates over the same groups are estimates."""

    value: float
    pseudo_values: np.ndarray  # G
    sizes: np.ndarray  # G, members of each group

    def __sub__(self, other: "Estimate") -> "Estimate":
        """The paired difference."""
        if not np.array_equal(self.sizes, other.sizes):
            raise ValueError(f"groups of sizes {self.sizes} and {other.sizes}, expected the same groups")
        return Estimate(self.value - other.value, self.pseudo_values - other.pseudo_values, self.sizes)

    @property
    def debiased(self) -> float:
        """The score extrapolated to infinitely many samples (bias of order 1/n removed)."""
        return float(np.average(self.pseudo_values, weights=self.sizes))

    @property
    def standard_error(self) -> float:
        """Standard deviation of `value` over draws of n samples."""
        weights = self.sizes / (self.sizes.sum() - self.sizes)
        return float(np.sqrt(np.mean(weights * (self.pseudo_values - self.debiased) ** 2)))

    def interval(self) -> tuple[float, float]:
        """Student's 95 % interval around `value`, with G - 1 degrees of freedom."""
        reach = stdtrit(len(self.sizes) - 1, 0.975) * self.standard_error
        return self.value - float(reach), self.value + float(reach)


def random_groups(count: int, groups: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Indices 0..count-1 dealt at random into groups of (almost) equal size; at most one group a sample."""
    return np.array_split(generator.permutation(count), min(groups, count))


def jackknife(statistic: Callable[[np.ndarray], float], groups: list[np.ndarray]) -> Estimate:
    """Jackknife of `statistic`, a function of the indices of the samples that stay."""
    everything = np.sort(np.concatenate(groups))
    value, count = statistic(everything), len(everything)
    sizes = np.array([len(group) for group in groups])
    left_out = np.array([statistic(np.setdiff1d(everything, group)) for group in groups])
    return Estimate(value, (count * value - (count - sizes) * left_out) / sizes, sizes)


def over_trainings(estimates: Sequence[Estimate]) -> tuple[float, float]:
    """95 % interval of the mean of estimates of k trainings over the same groups of images; of one it is its own."""
    values = np.array([estimate.value for estimate in estimates])
    pseudo_values = np.mean([estimate.pseudo_values for estimate in estimates], axis=0)
    mean = Estimate(float(values.mean()), pseudo_values, estimates[0].sizes)
    if len(values) == 1:
        return mean.interval()
    over_images = mean.interval()[1] - mean.value
    reach = math.hypot(stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / math.sqrt(len(values)), over_images)
    return mean.value - reach, mean.value + reach
