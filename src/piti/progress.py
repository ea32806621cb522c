"""How far a long piece of work is: a bar on a terminal, in a log file a whole line once a minute."""

import sys

from tqdm import tqdm

SECONDS = 60  # between two lines; what takes less says nothing
LINE = "{desc}: {n_fmt} of {total_fmt}, {rate_fmt}, {remaining} left{postfix}"


def progress(*given, **named) -> tqdm:
    """`tqdm`, with its arguments."""
    if sys.stderr.isatty():
        return tqdm(*given, **named)
    slow = {"mininterval": SECONDS, "miniters": 1, "delay": SECONDS}  # 1: the clock is looked at each time
    return tqdm(*given, **named, file=_Lines(), bar_format=LINE, **slow)


class _Lines:
    """stderr for what is no terminal: a bar's every state on a line of its own."""

    def write(self, text: str) -> None:
        if state := " ".join(text.split()):
            print(state, file=sys.stderr, flush=True)

    def flush(self) -> None:
        pass
