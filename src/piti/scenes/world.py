"""What there is in a scene: every random decision, drawn from (seed, index) alone, before a pixel is touched.

Lengths are metres, heights in the picture are fractions of its side, measured up from the horizon. Camera: pinhole at
`eye` metres above flat ground, level, focal length `focal` in sides; x to the right, y up, z towards the viewer.
"""

from types import SimpleNamespace

import numpy as np

from piti.datasets.classes import (
    BOAT,
    CAR,
    FENCE,
    FLOWER,
    GRASS,
    HILL,
    HOUSE,
    MOUNTAIN,
    RIVER,
    ROAD,
    ROCK,
    SAND,
    SEA,
    SKYSCRAPER,
    TREE,
    WATER,
)
from piti.scenes.styles import Style

DAWN, NOON, DUSK, NIGHT = range(4)
SPRING, SUMMER, AUTUMN, WINTER = range(4)
CLEAR, FAIR, OVERCAST, FOG, SNOW = range(5)
PLAIN, VIVID, FADED, WARM, COOL, GREY = range(6)

# class of each place in a scene's list of things; how many of them are there is drawn
SLOTS = np.array([TREE] * 9 + [HOUSE] * 2 + [ROCK] * 3 + [FENCE] + [BOAT] * 2 + [CAR] + [SKYSCRAPER] * 6)
_MOODS = 64  # numbers for the scene as a whole; each thing has eight of its own
_DRAWS = _MOODS + 8 * len(SLOTS)
_SIZES = np.array(  # nearest, farthest, lowest, highest, least and greatest width : height, by class from TREE on
    [
        (9, 70, 4, 10, 0.6, 0.95),  # tree
        (13, 50, 5, 8, 1.3, 1.9),  # house
        (110, 180, 35, 100, 0.2, 0.5),  # skyscraper
        (7, 28, 0.5, 2.2, 1.2, 2.0),  # rock
        (8, 18, 1.1, 1.5, 6, 16),  # fence
        (9, 40, 2.5, 6, 0.7, 1.1),  # boat
        (8, 28, 1.4, 1.8, 1.7, 2.6),  # car
    ],
    np.float32,
)


def draw(seed: int, indices: np.ndarray, style: Style) -> SimpleNamespace:
    """The worlds of `indices`: arrays of N×1×1 for the scene, N×len(SLOTS) for the things in it."""
    numbers = np.stack([np.random.default_rng([seed, int(i)]).random(_DRAWS, np.float32) for i in indices])
    columns = iter(numbers[:, :_MOODS].T)

    def uniform(low: float = 0.0, high: float = 1.0) -> np.ndarray:
        return (np.float32(low) + np.float32(high - low) * next(columns))[:, None, None]

    def choice(*odds: float) -> np.ndarray:
        edges = np.cumsum(odds, dtype=np.float32) / np.float32(sum(odds))
        return np.minimum(np.searchsorted(edges, next(columns), side="right"), len(odds) - 1)[:, None, None]

    def chance(probability: float | np.ndarray) -> np.ndarray:
        return uniform() < probability

    def of(c: int, odds: float) -> float:
        return 0.0 if c in style.without else odds

    w = SimpleNamespace()
    # mood
    w.light = choice(*style.light)
    w.season = choice(1, 1, 1, 1)
    w.weather = choice(*style.weather)
    w.weather = np.where((w.weather == SNOW) & (w.season != WINTER), OVERCAST, w.weather)
    w.develop = choice(*style.develop)
    w.tilt = uniform(-1, 1) * style.tilt
    w.taste = uniform(0.6, 1.4)  # strength of the development
    # camera
    w.focal = uniform(*style.focal)
    w.eye = uniform(*style.eye)
    w.horizon = uniform(*style.horizon)
    # backdrop
    coast = chance(of(SEA, 0.24))
    town = chance(of(SKYSCRAPER, 0.2)) & ~coast
    w.mountains = chance(np.where(coast, of(MOUNTAIN, 0.35), of(MOUNTAIN, 0.62))) & ~town
    w.mountain_height = uniform(0.14, 0.4)
    w.mountain_pitch = uniform(1.5, 3.5)
    w.mountain_phase = uniform(0, 3000)
    w.mountain_far = uniform(190, 280)
    w.headland = np.where(coast & w.mountains, uniform(-0.4, 0.4), 9.0).astype(np.float32)
    w.headland_side = np.sign(uniform(-1, 1))
    w.hills = chance(of(HILL, 0.55)) & ~coast
    w.hill_height = uniform(0.03, 0.12)
    w.hill_pitch = uniform(0.8, 2.2)
    w.hill_phase = uniform(0, 3000)
    w.hill_far = uniform(60, 120)
    # ground
    desert = chance(of(SAND, 0.12)) & ~coast & ~town
    w.ground = np.where(desert | (coast & chance(of(SAND, 0.8))), SAND, GRASS)
    w.shore = np.where(coast, uniform(9, 30), 1e6).astype(np.float32)
    w.shore_phase = uniform(0, 3000)
    strip = choice(5, of(ROAD, 2.2), of(RIVER, 1.6))  # none, road, river
    w.strip = np.where(coast, 0, np.where(strip == 1, ROAD, np.where((strip == 2) & ~desert, RIVER, 0)))
    w.strip_x = uniform(-6, 6)
    w.strip_slope = uniform(-0.35, 0.35)
    w.strip_bend = uniform(-7, 7)
    w.strip_length = uniform(18, 45)
    w.strip_width = np.where(w.strip == ROAD, uniform(2.2, 3.6), uniform(2.5, 6))
    lake = chance(of(WATER, 0.3)) & ~coast & (w.strip == 0) & ~desert
    w.lake_z = uniform(14, 45)
    w.lake_x = uniform(-0.35, 0.35) * w.lake_z
    w.lake_rx = np.where(lake, uniform(0.15, 0.5) * w.lake_z, 1e-3).astype(np.float32)
    w.lake_rz = uniform(0.25, 0.6) * w.lake_z
    flowers = chance(np.where(w.season == WINTER, 0.0, of(FLOWER, 0.3))) & (w.ground == GRASS)
    w.flower_z = uniform(4, 11)
    w.flower_x = uniform(-0.45, 0.45) * w.flower_z
    w.flower_r = np.where(flowers, uniform(0.18, 0.5) * w.flower_z, 1e-3).astype(np.float32)
    w.flower_hue = choice(1, 1, 1, 1)
    w.snow = np.where((w.season == WINTER) & ((w.weather == SNOW) | chance(0.45)), uniform(0.75, 1.0), 0.0)
    w.snow = np.where(w.ground == SAND, w.snow * 0.4, w.snow).astype(np.float32)
    # light
    w.azimuth = uniform(-1.25, 1.25)
    low, span = np.array([0.1, 0.5, 0.05, 0.35])[w.light], np.array([0.22, 0.5, 0.2, 0.35])[w.light]
    w.elevation = (low + span * uniform()).astype(np.float32)
    w.behind = chance(0.55)  # the sun stands behind the viewer
    w.cover = uniform(-0.2, 0.9)  # threshold of the clouds in fair weather
    w.offset_u, w.offset_v = uniform(0, 4), uniform(0, 4)
    w.trees = np.floor(uniform() ** 1.3 * 10) * ~desert
    w.things = _things(w, town, numbers[:, _MOODS:].reshape(len(indices), len(SLOTS), 8))
    w.things.there &= ~np.isin(w.things.kind, style.without)
    w.style = style
    return w


def _things(w: SimpleNamespace, town: np.ndarray, u: np.ndarray) -> SimpleNamespace:
    """The things, arrays N×len(SLOTS): kind, there (does it exist), x and z of its foot, height, width, looks 0..1."""
    kind = np.broadcast_to(SLOTS, u.shape[:2])
    near, far, low, high, slim, broad = _SIZES[kind - TREE].transpose(2, 0, 1)
    depth, across, tall, wide, _, _, exists, _ = u.transpose(2, 0, 1)
    flat = SimpleNamespace(**{name: value[:, :, 0] for name, value in vars(w).items()})
    on_lake = flat.lake_rx > 1
    odds = np.zeros((len(u), CAR + 1))
    odds[:, [HOUSE, ROCK, FENCE]] = 0.32, 0.25, 0.16
    odds[:, BOAT] = 0.4 * ((flat.shore < 1e5) | on_lake)[:, 0]
    odds[:, CAR] = 0.6 * (flat.strip == ROAD)[:, 0]
    odds[:, SKYSCRAPER] = 0.85 * town[:, 0, 0]
    there = np.where(kind == TREE, np.arange(len(SLOTS)) < flat.trees, exists < np.take_along_axis(odds, kind, 1))

    z = near * (far / near) ** depth
    z = np.where(
        kind == BOAT, np.where(on_lake, flat.lake_z + (depth - 0.5) * flat.lake_rz, flat.shore + 4 + 40 * depth), z
    )
    spread = (across - 0.5) * z / flat.focal  # anywhere in the picture
    x = np.select(
        [kind == CAR, (kind == BOAT) & on_lake, kind == SKYSCRAPER],
        [
            strip_centre(flat, z) + (across - 0.5) * flat.strip_width,
            flat.lake_x + (across - 0.5) * flat.lake_rx,
            spread * 0.6 + flat.mountain_phase % 0.4 * z,  # a skyline stands together
        ],
        spread,
    )
    height = low + (high - low) * tall
    return SimpleNamespace(
        kind=kind, there=there, x=x, z=z, height=height, width=height * (slim + (broad - slim) * wide), looks=u
    )


def strip_centre(w: SimpleNamespace, z: np.ndarray) -> np.ndarray:
    """x of the middle of the road or river at distance z."""
    return w.strip_x + w.strip_slope * z + w.strip_bend * np.sin(z / w.strip_length)
