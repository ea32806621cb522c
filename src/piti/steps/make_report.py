"""Make the report: one self-contained HTML page."""

from pathlib import Path

from piti.cards import ReportCard
from piti.run.command import step


@step(leg="reports", makes="report.html", local=True, hands_on_failure=False)
def run(
    card: ReportCard, output: Path, claims: Path, deviations: Path, tables: list[Path] = (), figures: list[Path] = ()
) -> None:
    from piti.report.html import make_report

    make_report(card, output, claims, deviations, tables, figures)
