"""Check the metric: do real photographs score worse the more they are distorted?"""

from pathlib import Path

from piti.cards import MetricCheckCard
from piti.run.command import step


def run(
    card: MetricCheckCard, output: Path, images: list[Path], weights: list[Path], sample_batch: int, gpus: int | None
) -> None:
    from piti.devices import device
    from piti.evaluate.metric_check import check_metric
    from piti.report.metric_check import write_check

    write_check(card, output, check_metric(card, images, weights, sample_batch, device(gpus)))


if __name__ == "__main__":
    step(
        __spec__.name,
        __doc__,
        MetricCheckCard,
        run,
        optional=["images", "weights"],
        options={"sample_batch": 16},
        siblings=["long.csv", "table.md", "table.tex"],
        computes=True,
    )
