"""When a training that is looked at on validation pairs has converged.

It is `first` steps long, or twice, four times … as long, at most `last`, which is one of these lengths: so one that is
lengthened has been looked at when a longer one would have been. Two thirds along each length and at its end its
pictures are looked at (the first length also a third along): their distance from real ones, and how well they follow
their conditions. It has converged when the last third has made none of these better by the fraction `gain`. Its weights
are those of the smallest distance.
"""

from collections.abc import Mapping

from piti.evaluate.measures import MEASURES


def lengths(first: int, last: int) -> list[int]:
    """Steps at which it may end, ascending; the last is `last`, converged or not."""
    return [first * 2**doubled for doubled in range((last // first).bit_length())]


def looks(first: int, last: int) -> list[int]:
    """Steps at which it is looked at, ascending."""
    ends = lengths(first, last)
    return sorted({max(1, ends[0] // 3), *(2 * end // 3 or 1 for end in ends), *ends})


def converged(seen: Mapping[int, Mapping[str, float]], gain: float) -> bool:
    """Whether the last third of the steps so far has made nothing better by `gain`.

    seen: step -> what the look at it found, `distance` and measures by name. The last one is at the end of a length.
    """
    end, everything = max(seen), list(seen.values())
    before = [found for step, found in seen.items() if step <= max(1, 2 * end // 3)]
    for name in everything[0]:
        higher = name in MEASURES and MEASURES[name].higher_is_better
        best, sign = (max, 1) if higher else (min, -1)
        first, last = (best(found[name] for found in looked) for looked in (before, everything))
        if last * sign >= (1 + sign * gain) * first * sign:
            return False
    return True
