"""Run the benchmarks, print the table, write it as CSV. `python -m bench --help` tells how."""

import argparse

from bench.baselines import baselines
from bench.degradation import degraded
from bench.denoise import denoise, rate
from bench.frechet import frechet
from bench.hed import hed
from bench.loader import loader
from bench.measure import Line
from bench.sizes import FULL, SMALL
from bench.stage1 import memory, seconds
from bench.table import aligned, as_csv, description
from piti.devices import place
from piti.store.files import write_text

ROWS = {
    "denoise": denoise,
    "rate": rate,
    "stage1": seconds,
    "memory": memory,
    "loader": loader,
    "hed": hed,
    "frechet": frechet,
    "degradation": degraded,
    "baselines": baselines,
}
HEADINGS = ("row", "unit", "ours", "straightforward", "ratio", "aim", "aim met", "spread", "difference")
WIDTHS = 27, 16


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help="which groups (default: all)")
    parser.add_argument("--repeat", type=int, default=3, help="repetitions of each way; the best one counts")
    parser.add_argument("--small", action="store_true", help="tiny sizes: shows that everything runs, measures nothing")
    parser.add_argument("--output", default="results/bench.csv", help="the table as CSV")
    options = parser.parse_args(arguments)

    print("ratio: how many times better ours is (cheaper, or more a second); for unet_*: share of the rate beside it")
    print("best of the repetitions; spread: slowest over fastest, less 1; difference: of the two results, relative")
    lines: list[Line] = []
    with place() as here:
        print(f"on {description(here.device)}\n" + aligned(HEADINGS, *WIDTHS), flush=True)
        for name in options.rows:
            for line in ROWS[name](SMALL if options.small else FULL, here.device, options.repeat):
                lines.append(line)
                print(aligned(cells(line), *WIDTHS), flush=True)
        write_text(options.output, as_csv(HEADINGS, map(cells, lines), description(here.device)))


def cells(line: Line) -> list[str]:
    """What stands under `HEADINGS`."""
    met = "" if line.aim is None or line.ratio is None else "yes" if line.ratio >= line.aim else "no"
    numbers = (line.ours, line.straightforward, line.ratio, line.aim)
    return [line.row, line.unit, *map(number, numbers), met, f"{line.spread:.0%}", number(line.difference, ".1e")]


def number(value: float | None, spelling: str = ".3g") -> str:
    return "" if value is None else format(value, spelling)


if __name__ == "__main__":
    main()
