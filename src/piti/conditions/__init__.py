"""The kinds of condition, each an object in a file of its own (facts 1.3), and what else shards hold.

A condition's name is also the kind of its shards.
"""

from piti.conditions.base import Condition
from piti.conditions.geometry import Geometry
from piti.conditions.mask import Mask
from piti.conditions.sketch import Sketch
from piti.conditions.stored import Caption, Images, Instances, Stored
from piti.registry import Registry

__all__ = ["CONDITIONS", "Condition", "STORED", "stored"]

CONDITIONS: Registry[Condition] = Registry("condition", Mask(), Sketch(), Geometry())
STORED: Registry[Stored] = Registry("kind of shards", Images(), Instances(), Caption())


def stored(kind: str) -> Stored:
    """A kind of shards, condition or not. Raises InputError for one that nobody has registered."""
    return CONDITIONS[kind] if kind in CONDITIONS else STORED[kind]
