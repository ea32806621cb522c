"""Download one file, verified before it gets its name; continued where an earlier attempt broke off."""

from pathlib import Path

from piti.cards import DownloadCard
from piti.run.command import step


@step(leg="downloads", makes="{file}", local=True)
def run(card: DownloadCard, output: Path) -> dict:
    from piti.store.download import Source, fetch

    given = {key: getattr(card, key) for key in ("url", "package", "member", "bytes", "digest")}
    source = Source(known_as=f"{card.name} {card.version}".strip(), **given)
    _, digest = fetch(source, output, output.parents[2] / "pins.json")
    return {"digest": digest}
