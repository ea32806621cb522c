"""When a training that is looked at on validation pairs has converged.

It is `first` steps long, or twice, four times … as long, at most `last` steps. Two thirds along each length and at its
end its pictures are compared with real ones (the first length also a third along); it has converged when the last third
has not brought the smallest distance down by the fraction `gain`. Its weights are those of the smallest distance.
"""

from collections.abc import Mapping


def lengths(first: int, last: int) -> list[int]:
    """Steps at which it may end, ascending; the last is `last`, converged or not."""
    found = [min(first, last)]
    while found[-1] < last:
        found.append(min(2 * found[-1], last))
    return found


def looks(first: int, last: int) -> list[int]:
    """Steps at which it is looked at, ascending."""
    ends = lengths(first, last)
    return sorted({max(1, ends[0] // 3), *(2 * end // 3 or 1 for end in ends), *ends})


def converged(distances: Mapping[int, float], end: int, gain: float) -> bool:
    """Whether the last third of `end` steps has brought less than `gain`. distances: step -> distance, of all looks."""
    before = min(distance for step, distance in distances.items() if step <= max(1, 2 * end // 3))
    return min(distance for step, distance in distances.items() if step <= end) > (1 - gain) * before
