"""When a training that is looked at on validation pairs has converged.

It is `first` steps long, or twice, four times … as long, at most `last` steps. Two thirds along each length and at its
end its pictures are looked at (the first length also a third along): their distance from real ones, and how well they
follow their conditions. It has converged when the last third has made none of these better by the fraction `gain`. Its
weights are those of the smallest distance.
"""

from collections.abc import Mapping

from piti.evaluate.measures import MEASURES


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


def converged(seen: Mapping[int, Mapping[str, float]], end: int, gain: float) -> bool:
    """Whether the last third of `end` steps has made nothing better by `gain`.

    seen: step -> what the look at it found, `distance` and measures by name.
    """
    until = [found for step, found in seen.items() if step <= end]
    before = [found for step, found in seen.items() if step <= max(1, 2 * end // 3)]
    for name in until[0]:
        higher = name in MEASURES and MEASURES[name].higher_is_better
        best, sign = (max, 1) if higher else (min, -1)
        first, last = (best(found[name] for found in looked) for looked in (before, until))
        if last * sign >= (1 + sign * gain) * first * sign:
            return False
    return True
