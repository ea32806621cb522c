"""What is shown has a plain name below the results: a copy of the current table, figure, study page or report."""

import filecmp
import os
from pathlib import Path

from piti.plan.core import Artefact, Plan
from piti.plan.report import report


def copies(plan: Plan, tables: dict[str, Artefact], figures: dict[str, Artefact]) -> dict[str, str]:
    """Where each lies -> what it is a copy of. A job makes each, and files that belong to it."""
    found = {f"{name}.csv": table.path for name, table in tables.items()}
    found |= {f"{name}.png": figure.path for name, figure in figures.items()}
    if plan.config.study:  # the page alone: the key to its pairs stays where it was made
        found["study"] = str(Path(tables["table2"].inputs["study"][0]).with_name("page"))
    found["report.html"] = report(plan, tables, figures).path
    return {f"{plan.config.results}/{name}": path for name, path in found.items()}


def current(plain: str, path: str) -> bool:
    """Whether all that is copied with this one is there and alike."""
    name, form = os.path.splitext(plain)
    files = {plain: path}
    if form == ".csv":  # two tables may differ in their titles alone, which only some of the files have
        beside = {f"{name}.long.csv": "long.csv", f"{name}.md": "table.md", f"{name}.tex": "table.tex"}
        files |= {copy: str(Path(path).with_name(file)) for copy, file in beside.items()}
    elif form == ".png":
        files |= {f"{name}.pdf": str(Path(path).with_suffix(".pdf"))}
    return all(same(file, copy) for copy, file in files.items())


def same(one: str, other: str) -> bool:
    """Whether both files, or folders, are there and alike."""
    if not (os.path.exists(one) and os.path.exists(other)):
        return False
    if not os.path.isdir(one):
        return filecmp.cmp(one, other)
    found = filecmp.dircmp(one, other, ignore=[".snakemake_timestamp"])
    alike = not (found.left_only or found.right_only or found.diff_files or found.funny_files)
    return alike and all(same(folder.left, folder.right) for folder in found.subdirs.values())
