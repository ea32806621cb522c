"""Check the metric: do real photographs score worse the more they are distorted?"""

from pathlib import Path

from piti.cards import MetricCheckCard
from piti.run.command import step


@step(leg="metric_checks", makes="table.csv", beside=("long.csv", "table.md", "table.tex"))
def run(
    card: MetricCheckCard,
    output: Path,
    images: list[Path] = (),
    weights: list[Path] = (),
    gpus: int | None = None,
    sample_batch: int = 16,
) -> None:
    from piti.devices import device
    from piti.evaluate.metric_check import check_metric
    from piti.report.metric_check import write_check

    write_check(card, output, check_metric(card, images, weights, sample_batch, device(gpus)))
