"""What a plan takes on disk, by folder: estimates from the cards, and what is there."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from piti.cards import DownloadCard, FeaturesCard, GatherCard, GenerateCard, PackCard, SampleCard, SketchCard, TrainCard
from piti.plan.core import Artefact
from piti.plan.cost import Costs

# Bytes of one stored item (piti.data.shards), by its side. Labels are compressed: theirs is an upper bound.
ITEM = {
    "images": lambda side: 3 * side**2,
    "mask": lambda side: side**2,
    "instances": lambda side: side**2,
    "sketch": lambda side: side**2 // 8,
    "geometry": lambda side: 6 * side**2,
    "caption": lambda side: side,
}
FEATURE = 2048 * 4  # bytes of an image's features, at most


class Folder(NamedTuple):
    """One leg's folder below the results."""

    expected: int  # bytes, of what can be said beforehand
    there: int  # bytes
    unknown: int  # artefacts whose size nobody knows beforehand, and which are not there yet


def folders(costs: Costs, artefacts: Iterable[Artefact]) -> dict[str, Folder]:
    """The space of these artefacts and of their trainings' states; extracted archives are removed after packing."""
    sums = defaultdict(lambda: Folder(0, 0, 0))
    for artefact in artefacts:
        if artefact.step == "extract":
            continue
        there, guess = on_disk(artefact), expected(costs, artefact)
        before = sums[artefact.leg]
        sums[artefact.leg] = Folder(
            before.expected + (there if guess is None else guess),
            before.there + there,
            before.unknown + (guess is None and not there),
        )
    return dict(sums)


def expected(costs: Costs, artefact: Artefact) -> int | None:
    """Bytes that an artefact takes, None where that is not known beforehand; metadata and pages count as nothing."""
    card = artefact.card
    if isinstance(card, DownloadCard):
        return card.bytes
    if isinstance(card, TrainCard):
        count = costs.count(card)
        if not count:
            return None
        averaged = count["averaged"] if card.training.ema_rate else 0
        return 4 * (count["weights"] + 3 * count["optimized"] + averaged)  # itself and two moments
    if artefact.step in ("draw_scenes", "convert_weights"):
        return None
    if isinstance(card, PackCard):
        return ITEM[card.kind](card.shrunk_side or card.side) * costs.items(artefact)
    if isinstance(card, SketchCard):
        return ITEM["sketch"](card.side) * costs.items(artefact)
    if isinstance(card, SampleCard | GenerateCard | GatherCard):
        return ITEM["images"](card.side) * costs.items(artefact)
    return FEATURE * costs.items(artefact) if isinstance(card, FeaturesCard) else 0


def on_disk(artefact: Artefact) -> int:
    """Bytes that an artefact takes now, a training's state with it."""
    places = [Path(artefact.path).parent]
    if isinstance(artefact.card, TrainCard):
        places.append(places[0].with_name(f"state-{artefact.card.identity}"))
    return sum(file.stat().st_size for place in places for file in place.rglob("*") if file.is_file())
