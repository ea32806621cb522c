"""Make a table: CSV in the paper's shape, a long CSV beside it, and Markdown."""

from pathlib import Path

from piti.cards import TableCard
from piti.run.command import step


@step(leg="tables", makes="table.csv", beside=("long.csv", "table.md", "table.tex"), local=True, hands_on_failure=False)
def run(card: TableCard, output: Path, scores: list[Path] = ()) -> None:
    from piti.report.tables import make_table

    make_table(card, output, scores)
