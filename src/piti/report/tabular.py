"""A table as files: CSV in which every line says what it is of, LaTeX to publish (booktabs), Markdown for people."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from piti.store.files import write_text

PAPERS_OWN = (
    "The paper's own numbers: FID, on its data, of its trainings. A heading only says which column of ours "
    "they are of: do not compare."
)
NOT_AS_IN_THE_PAPER = "not as in the paper"  # before what is otherwise
MARKS = {"best": r"\textbf{%s}", "second": r"\underline{%s}"}
SPELT = {"↓": r"$\downarrow$", "↑": r"$\uparrow$", "°": r"$^\circ$", "†": r"\dag{}", "\\": r"\textbackslash{}"}
SPELT |= {sign: f"\\{sign}" for sign in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


class About(NamedTuple):
    """What a table is of."""

    name: str
    title: str
    preset: str
    note: str
    n: str  # images behind its numbers


def write(
    output: Path,
    about: About,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    marks: Mapping[tuple[int, int], str] | None = None,
) -> None:
    """Write `output` (table.csv) and table.tex beside it. marks: (row, column) of `rows` -> a key of MARKS."""
    write_text(output.with_name("table.tex"), latex(about, head, rows, marks or {}))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*head, "preset", "note", "n"])
    writer.writerows([*row, about.preset, about.note, about.n] for row in rows)
    write_text(output, text.getvalue())


def latex(
    about: About, head: Sequence[str], rows: Sequence[Sequence[str]], marks: Mapping[tuple[int, int], str]
) -> str:
    """The table in LaTeX, best bold, second underlined, its note in the caption."""

    def shown(row: int, column: int) -> str:
        return MARKS.get(marks.get((row, column), ""), "%s") % spelt(rows[row][column])

    said = [about.title, f"Preset {about.preset}", *([f"n = {about.n}"] if about.n else []), about.note]
    caption = ". ".join(spelt(part.rstrip(".")) for part in said if part)
    lines = [" & ".join(shown(i, j) for j in range(len(head))) + r" \\" for i in range(len(rows))]
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption}.}}",
            rf"\label{{tab:{about.name}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
            r"\toprule",
            " & ".join(map(spelt, head)) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def markdown(about: About, head: Sequence[str], rows: Sequence[Sequence[object]], *below: str) -> str:
    """The table in Markdown; each text of `below` is a paragraph, or another grid, after it."""
    parts = [f"# {about.name}: {about.title} (preset {about.preset})", *([f"**{about.note}**"] if about.note else [])]
    return "\n\n".join([*parts, grid(head, rows), *below]) + "\n"


def grid(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of Markdown, its columns aligned."""
    texts = [[str(value).replace("|", r"\|") for value in row] for row in (head, *rows)]  # else it ends a cell
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    texts.insert(1, ["-" * width for width in widths])
    lines = [" | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in texts]
    return "\n".join(f"| {line} |" for line in lines)


def papers_own(lines: Iterable[Mapping[str, str]]) -> tuple[list[str], list[list[str]]]:
    """Those of the paper's numbers that may not stand beside ours, from a long table: head and rows of their own."""
    found = {
        (line["row"], line["column"]): line["paper"]
        for line in lines
        if line["comparable"] == "no" and line["paper"] != "-"
    }
    rows, columns = (list(dict.fromkeys(key[place] for key in found)) for place in (0, 1))
    return ["Method", *columns], [[row, *(found.get((row, column), "-") for column in columns)] for row in rows]


def spelt(text: str) -> str:
    """Text as LaTeX shows it."""
    return "".join(SPELT.get(sign, sign) for sign in str(text))
