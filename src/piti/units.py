"""Numbers in the units that a person would choose."""


def span(hours: float) -> str:
    """A time: 0.2 s, 14 min, 3.2 h, 1,834 h."""
    for number, unit in ((hours, "h"), (60 * hours, "min")):
        if number >= 0.995:
            return f"{number:,.0f} {unit}" if number >= 9.95 else f"{number:.1f} {unit}"
    return f"{3600 * hours:.2g} s"
