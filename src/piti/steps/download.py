"""Download one file, verified before it gets its name; continued where an earlier attempt broke off."""

from pathlib import Path

from piti.cards import DownloadCard
from piti.command import step


def run(card: DownloadCard, output: Path) -> dict:
    from piti.download import Source, fetch

    source = Source(url=card.url, package=card.package, member=card.member, bytes=card.bytes, digest=card.digest)
    _, digest = fetch(source, output, output.parents[2] / "pins.json")
    return {"digest": digest}


if __name__ == "__main__":
    step(__spec__.name, __doc__, DownloadCard, run)
