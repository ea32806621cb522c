"""The pairs of a user study: drawn by seed, and named so that nobody who sees a pair knows which picture is whose."""

import hmac
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from piti.cards import StudyCard


class Pair(NamedTuple):
    """Two pictures of one condition: Ours and an opponent's."""

    token: str  # the only name that a voter sees
    image: str  # id of the test image
    over: str  # the opponent
    ours: Literal["left", "right"]


def draw(card: StudyCard, opponents: Sequence[str], ids: Sequence[str]) -> list[Pair]:
    """Pairs of Ours and each opponent, in an order that tells nothing.

    Each comparison takes the next images of one shuffled row: with enough images nobody sees a picture of Ours twice.
    """
    shuffled = np.random.default_rng(card.seed).permutation(ids).tolist()
    count = min(card.pairs, len(ids))
    samples = {one.method: one.samples for one in card.against}
    pairs = []
    for number, over in enumerate(opponents):
        key = f"{card.seed}/{card.ours.samples}/{samples[over]}"  # of pictures alone: a new page keeps old votes
        for image in np.roll(shuffled, -number * count)[:count].tolist():
            pairs.append(_anonymous(key, image, over))
    return sorted(pairs)


def _anonymous(key: str, image: str, over: str) -> Pair:
    """Token and side are different bytes of one keyed hash: neither can be told from the other without the key."""
    mac = hmac.digest(key.encode(), image.encode(), "sha256")
    return Pair(token=mac[:8].hex(), image=image, over=over, ours="left" if mac[8] % 2 else "right")
