"""Pack one split of a data set into shards: its photographs, or what its files say about them."""

from pathlib import Path

from piti.cards import PackCard
from piti.run.command import step


@step(leg="shards", makes="index.json")
def run(card: PackCard, output: Path, root: Path, threads: int = 1) -> None:
    from piti.data.packing import pack

    pack(card, root, output, threads)
