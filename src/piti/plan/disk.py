"""What a plan takes on disk, by folder: estimates from the cards, and what is there."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from piti.cards import DownloadCard, FeaturesCard, GatherCard, GenerateCard, PackCard, SampleCard, SketchCard, TrainCard
from piti.conditions import stored
from piti.evaluate.extractors import EXTRACTORS
from piti.plan.core import Artefact
from piti.plan.cost import Costs


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
        form = stored(card.kind)
        return form.bytes(form.resolution(card)) * costs.items(artefact)
    if isinstance(card, SketchCard):
        return stored(card.kind).bytes(card.resolution) * costs.items(artefact)
    if isinstance(card, SampleCard | GenerateCard | GatherCard):
        return stored("images").bytes(card.resolution) * costs.items(artefact)
    if isinstance(card, FeaturesCard):
        return 4 * EXTRACTORS[card.extractor].width * costs.items(artefact)
    return 0


def on_disk(artefact: Artefact) -> int:
    """Bytes that an artefact takes now, a training's state with it."""
    places = [Path(artefact.path).parent]
    if isinstance(artefact.card, TrainCard):
        places.append(artefact.card.checkpoint(Path(artefact.path)))
    return sum(file.stat().st_size for place in places for file in place.rglob("*") if file.is_file())
