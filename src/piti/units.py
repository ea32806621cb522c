"""Numbers in the units, and with the digits, that a person would choose."""

import math


def span(hours: float) -> str:
    """A time: 0.2 s, 14 min, 3.2 h, 1,834 h."""
    for number, unit in ((hours, "h"), (60 * hours, "min")):
        if number >= 0.995:
            return f"{number:,.0f} {unit}" if number >= 9.95 else f"{number:.1f} {unit}"
    return f"{3600 * hours:.2g} s"


def decimals(value: float) -> int:
    """Of a number in a table: one, or as many as two of its digits take, but no more than four."""
    return min(4, max(1, 1 - math.floor(math.log10(abs(value))))) if value else 1


def number(value: float) -> str:
    """A number as tables show it. What rounds to 0 has no sign."""
    return f"{value:z.{decimals(value)}f}"


def with_interval(value: float, low: float, high: float) -> str:
    """A score or a difference: as many digits as the width of its interval deserves. What rounds to 0 has no sign."""
    digits = decimals(high - low)
    return f"{value:z.{digits}f} ({low:z.{digits}f} to {high:z.{digits}f})"
