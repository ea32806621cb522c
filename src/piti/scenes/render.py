"""From (seed, index) to a drawn scene with its exact labels, depth, normals and caption."""

from typing import NamedTuple

import numpy as np

from piti.scenes import captions, light, terrain, things, world
from piti.scenes.styles import STYLES

_PIXELS = 1 << 17  # a batch that stays in the processor's cache


class Scenes(NamedTuple):
    """N scenes of resolution S."""

    image: np.ndarray  # N×S×S×3 uint8 RGB
    classes: np.ndarray  # N×S×S uint8, place in CLASSES
    instances: np.ndarray  # N×S×S uint8, 0 where there is no thing, else a number of its own in its scene
    depth: np.ndarray  # N×S×S float32 metres along the optical axis, 0 where not valid
    valid: np.ndarray  # N×S×S bool, False in the sky
    normal: np.ndarray  # N×S×S×3 float32, unit length; x right, y up, z towards the viewer; 0 where not valid
    tokens: np.ndarray  # N×LENGTH uint8, words of the caption, padded with 0


def render(seed: int, indices: np.ndarray, resolution: int, style: str = "task") -> Scenes:
    """Draw the scenes `indices`. A scene depends on (seed, index), resolution and style alone, not on its companions.

    Args:
        style: a key of STYLES.
    """
    indices = np.asarray(indices)
    batch = max(1, _PIXELS // resolution**2)
    parts = [_render(seed, indices[i : i + batch], resolution, style) for i in range(0, len(indices), batch)]
    return Scenes(*(np.concatenate(p) for p in zip(*parts, strict=True)))


def _render(seed: int, indices: np.ndarray, resolution: int, style: str) -> Scenes:
    w = world.draw(seed, indices, STYLES[style])
    g = terrain.terrain(w, resolution)
    things.place(g, w)
    image = light.photograph(g, w)
    valid = g.depth < np.inf
    depth = np.where(valid, g.depth, 0).astype(np.float32)
    normal = np.where(valid[..., None], np.moveaxis(g.normal, 0, -1), np.float32(0))
    moods = np.concatenate([w.season, w.light, w.weather, w.develop], axis=1)[:, :, 0]
    tokens = captions.describe(moods, g.classes, depth)
    return Scenes(image, g.classes, g.instances, depth, valid, normal, tokens)
