"""The votes of a user study: the files that people sent, and which of their lines count."""

import csv
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# Mechanical Turk's names for the columns of the page's own export.
TURK = {"Input.pair": "pair", "Answer.choice": "choice", "WorkerId": "voter", "AssignmentStatus": "status"}


class Vote(NamedTuple):
    """One accepted vote."""

    voter: str
    over: str  # the opponent
    for_ours: bool


def files(folder: Path) -> list[Path]:
    """The files of votes in a folder, by name without suffix: of `votes.csv` and `votes (1).csv`, as a browser calls
    the next, the first comes first.
    """
    found = [path for path in folder.iterdir() if path.suffix.lower() == ".csv" and path.is_file()]
    return sorted(found, key=lambda path: (path.stem, path.name))


def count(folder: Path | None, pairs: dict[str, dict]) -> tuple[list[Vote], Counter]:
    """The votes that count, and how many do not: malformed, rejected on Mechanical Turk, on a foreign pair, or a
    voter's second on one pair.
    """
    accepted, seen, rejected = [], defaultdict(set), Counter()
    for where, row in _rows(folder):
        voter, token, choice = (row.get(name, "") for name in ("voter", "pair", "choice"))
        if not voter or not token or choice not in ("left", "right"):
            reason, text = "malformed", f"found {row}, expected voter, pair, and choice left or right"
        elif row.get("status") == "Rejected":
            reason, text = "rejected on Mechanical Turk", f"found {voter!r}'s work rejected, expected it not to be"
        elif token not in pairs:
            reason, text = "foreign pair", f"found {token!r}, expected a pair of this study"
        elif token in seen[voter]:
            reason, text = "duplicate", f"{voter!r} has voted on {token!r} before; the first vote counts"
        else:
            seen[voter].add(token)
            accepted.append(Vote(voter, pairs[token]["over"], choice == pairs[token]["ours"]))
            continue
        rejected[reason] += 1
        print(f"{where}: {reason}: {text}", file=sys.stderr)
    return accepted, rejected


def _rows(folder: Path | None) -> Iterator[tuple[str, dict[str, str]]]:
    """Place and values of every line, file by file; what cannot be read is an empty line."""
    for file in files(folder) if folder else ():
        try:
            with open(file, newline="", encoding="utf-8-sig") as handle:
                reader = csv.DictReader(handle, strict=True)
                for row in reader:
                    whole = None not in row and None not in row.values()  # neither too many values nor too few
                    named = {TURK.get(name, name): value.strip() for name, value in row.items()} if whole else {}
                    yield f"{file}:{reader.line_num}", named
        except (UnicodeDecodeError, csv.Error) as error:
            yield f"{file} ({error})", {}
