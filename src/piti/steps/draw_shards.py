"""Draw captioned scenes straight into shards."""

from pathlib import Path

from piti.cards import DrawnShardsCard
from piti.command import step


def run(card: DrawnShardsCard, output: Path) -> None:
    from piti.data.drawing import draw

    draw(card, output)


if __name__ == "__main__":
    step(__spec__.name, __doc__, DrawnShardsCard, run)
