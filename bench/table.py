"""A table as it is printed line by line, and as CSV with the machine in its last column."""

import csv
import io
from collections.abc import Iterable, Sequence

import torch


def description(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    return f"CPU, {torch.get_num_threads()} threads, torch {torch.__version__}"


def aligned(texts: Iterable[str], first: int, others: int) -> str:
    """One line. first, others: widths of the columns."""
    name, *numbers = texts
    return f"{name:<{first}}" + "".join(f"{text:>{others}}" for text in numbers)


def as_csv(headings: Sequence[str], lines: Iterable[Sequence[str]], machine: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([[*headings, "machine"], *([*cells, machine] for cells in lines)])
    return text.getvalue()
