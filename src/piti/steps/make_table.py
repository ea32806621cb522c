"""Make a table: CSV in the paper's shape, a long CSV beside it, and Markdown."""

from pathlib import Path

from piti.cards import TableCard
from piti.run.command import step


def run(card: TableCard, output: Path, scores: list[Path]) -> None:
    from piti.report.tables import make_table

    make_table(card, output, scores)


if __name__ == "__main__":
    siblings = ["long.csv", "table.md", "table.tex"]
    step(__spec__.name, __doc__, TableCard, run, optional=["scores"], siblings=siblings, hands_on_failure=False)
