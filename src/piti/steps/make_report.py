"""Make the report: one self-contained HTML page."""

from pathlib import Path

from piti.cards import ReportCard
from piti.run.command import step


def run(card: ReportCard, output: Path, **files: list[Path]) -> None:
    from piti.report.html import make_report

    make_report(card, output, **files)


if __name__ == "__main__":
    inputs, optional = ["claims", "deviations"], ["tables", "figures"]
    step(__spec__.name, __doc__, ReportCard, run, inputs=inputs, optional=optional, hands_on_failure=False)
