"""Pack one split of a data set into shards: its photographs, or what its files say about them."""

import contextlib
from pathlib import Path

from piti.cards import PackCard
from piti.run.command import step
from piti.store.files import InputError


@step(leg="shards", makes="index.json")
def run(
    card: PackCard,
    output: Path,
    root: Path | None = None,
    archives: list[Path] = (),
    scratch: str = "",
    threads: int = 1,
) -> None:
    """root: the data set's folder; or archives: extracted for this job alone, below the folder `scratch`."""
    if bool(archives) == (root is not None):
        raise InputError(f"--root, --archives: found {'both' if archives else 'neither'}, expected one of them")
    from piti.data.packing import pack
    from piti.store.scratch import extracted

    place = extracted(dict(zip(archives, card.folders, strict=True)), scratch) if archives else None
    with place or contextlib.nullcontext(root) as folder:
        pack(card, folder, output, threads)
