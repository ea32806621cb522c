"""Pack one split of a data set into shards: its photographs, or what its files say about them."""

from pathlib import Path

from piti.cards import PackCard
from piti.run.command import step


def run(card: PackCard, output: Path, root: list[Path]) -> None:
    from piti.data.packing import pack

    pack(card, root[0], output)


if __name__ == "__main__":
    step(__spec__.name, __doc__, PackCard, run, inputs=["root"])
