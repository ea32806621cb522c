"""Captions: at most 19 words of a fixed list, told from the picture's own labels and depth."""

import numpy as np

from piti.datasets.classes import CLASSES

SEASONS = ("spring", "summer", "autumn", "winter")
LIGHTS = ("dawn", "noon", "dusk", "night")
WEATHERS = ("clear", "fair", "overcast", "fog", "snow")
STYLES = ("plain", "vivid", "faded", "warm", "cool", "grey")  # how the photograph was developed
DISTANCES = ("near", "far")
SIDES = ("left", "center", "right")

VOCABULARY = ("", *SEASONS, *LIGHTS, *WEATHERS, *STYLES, *DISTANCES, *SIDES, *(c.name for c in CLASSES))
LENGTH = 19  # words; shorter captions are padded with token 0
NEAR = 16.0  # metres
LEAST = 0.004  # part of the picture below which a class goes unmentioned

_TOKEN = {word: token for token, word in enumerate(VOCABULARY)}


def caption(tokens: np.ndarray) -> str:
    """The words of one row of tokens."""
    return " ".join(VOCABULARY[t] for t in tokens if t)


def encode(text: str) -> np.ndarray:
    """Tokens of a caption, uint8 of LENGTH, padded with 0. Raises ValueError for a word outside the vocabulary."""
    words = text.split()
    if len(words) > LENGTH or any(word not in _TOKEN for word in words):
        raise ValueError(f"caption {text!r}: expected at most {LENGTH} words of the scenes' vocabulary")
    return np.array([_TOKEN[word] for word in words] + [0] * (LENGTH - len(words)), np.uint8)


def describe(moods: np.ndarray, classes: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Tokens N×LENGTH: season, light, weather, style, then classes by area, things with their distance and side.

    Args:
        moods: N×4 indices into SEASONS, LIGHTS, WEATHERS, STYLES.
        classes: N×S×S own class ids.
        depth: N×S×S metres.
    """
    n, resolution, _ = classes.shape
    k = len(CLASSES)
    cells = (np.arange(n)[:, None, None] * k + classes).ravel()
    columns = np.broadcast_to(np.arange(resolution, dtype=np.float32), classes.shape).ravel()
    area, column, metres = (
        np.bincount(cells, weights, n * k).reshape(n, k) for weights in (None, columns, depth.ravel())
    )
    column, metres = column / np.maximum(area, 1) / resolution, metres / np.maximum(area, 1)
    order = np.argsort(-area, axis=1, kind="stable")
    tokens = np.zeros((n, LENGTH), np.uint8)
    for i in range(n):
        words = [SEASONS[moods[i, 0]], LIGHTS[moods[i, 1]], WEATHERS[moods[i, 2]], STYLES[moods[i, 3]]]
        for c in order[i]:
            phrase = [CLASSES[c].name]
            if CLASSES[c].thing:
                phrase += [DISTANCES[int(metres[i, c] > NEAR)], SIDES[int(column[i, c] * 3)]]
            if area[i, c] >= LEAST * resolution * resolution and len(words) + len(phrase) <= LENGTH:
                words += phrase
        tokens[i, : len(words)] = [_TOKEN[word] for word in words]
    return tokens
