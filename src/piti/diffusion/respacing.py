"""Which steps of the original process a shorter one keeps (facts 1.5). Pure Python: the configuration asks too."""

from itertools import accumulate

from piti.store.files import InputError


def kept_steps(steps: int, respacing: str) -> list[int]:
    """The kept steps, ascending.

    `respacing` is a list of counts "a,b,…" (the steps fall into as many sections of about equal length, from each the
    given count is taken, both ends included), one count "250", "ddim50" (every step divisible by a whole stride),
    "fast27" (sections 10,10,3,2,2 whose very last step is replaced by the third last), or "" for all.

    Raises InputError when the counts do not fit.
    """
    if respacing == "":
        return list(range(steps))
    if respacing == "fast27":
        kept = kept_steps(steps, "10,10,3,2,2")
        return sorted({*kept} - {steps - 1} | {steps - 3})
    try:
        if respacing.startswith("ddim"):
            return _strided(steps, int(respacing.removeprefix("ddim")))
        return _sections(steps, [int(count) for count in respacing.split(",")])
    except ValueError:
        expected = "counts within the number of steps, such as 250, 10,10,3,2,2, ddim50 or fast27"
        raise InputError(f"respacing: found {respacing!r} for {steps} steps, expected {expected}") from None


def _strided(steps: int, count: int) -> list[int]:
    for stride in range(1, steps):
        if len(range(0, steps, stride)) == count:
            return list(range(0, steps, stride))
    raise ValueError


def _sections(steps: int, counts: list[int]) -> list[int]:
    kept, start = [], 0
    for i, count in enumerate(counts):
        size = steps // len(counts) + (i < steps % len(counts))
        if not 1 <= count <= size:
            raise ValueError
        stride = (size - 1) / max(count - 1, 1)
        # the reference adds the stride up, so that a position on .5 rounds as its error falls
        positions = accumulate([0.0] + [stride] * (count - 1))
        kept += [start + round(position) for position in positions]
        start += size
    return kept
