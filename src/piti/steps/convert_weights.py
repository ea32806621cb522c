"""Convert published weights into safetensors under our names, without ever running code out of them."""

from pathlib import Path

from piti.cards import WeightsCard
from piti.cards.base import dumps
from piti.run.command import step
from piti.store.files import atomic


@step(leg="weights", makes="weights.safetensors", torch=True)
def run(card: WeightsCard, output: Path, source: Path) -> dict:
    from safetensors.torch import save_file

    from piti.data.sources import stamp
    from piti.networks.pretrained import convert
    from piti.store.download import Source, fetch

    was, digest, pins = stamp(source), card.digest, output.parents[2] / "pins.json"
    found = Source(path=str(source), digest=digest, known_as=f"{card.name} {card.version}".strip())
    if own := card.path or not digest:  # else the download has verified it
        fetch(found, source, None)
    tensors = convert(source, card.format)
    if own:  # pinned only now: what is no such weights would be pinned for ever
        _, digest = fetch(found, source, pins)
    with atomic(output) as temporary:
        save_file(tensors, temporary, {"card": dumps(card)})  # one key: several have no fixed order
    return {"source": was, "digest": digest}
