"""The shapes of things. Each is a function of the fragments in a thing's own frame, p in -1..1 across, q in 0..1 up.

It returns, for every fragment: does it belong to the thing, how far it stands out towards the viewer (metres), its
normal (any length), its albedo (three planes), and how much light it gives at night. `f.looks` are eight numbers in
0..1 that belong to the thing; `f.u`, `f.v` are its place in the texture atlas.
"""

import numpy as np

from piti.datasets.classes import BOAT, CAR, FENCE, HOUSE, ROCK, SKYSCRAPER, TREE
from piti.scenes import noise
from piti.scenes.world import AUTUMN, SPRING, WINTER

_CROWN = np.array([(0.11, 0.25, 0.04), (0.05, 0.15, 0.03), (0.42, 0.15, 0.03), (0.16, 0.13, 0.10)], np.float32)
_WALLS = np.array(
    [(0.70, 0.62, 0.48), (0.62, 0.20, 0.14), (0.72, 0.72, 0.70), (0.55, 0.45, 0.22), (0.25, 0.35, 0.50)], np.float32
)
_ROOFS = np.array([(0.42, 0.10, 0.06), (0.20, 0.16, 0.15), (0.30, 0.17, 0.09)], np.float32)
_PAINT = np.array(
    [(0.55, 0.05, 0.04), (0.08, 0.16, 0.45), (0.65, 0.65, 0.66), (0.05, 0.05, 0.06), (0.70, 0.50, 0.06)], np.float32
)


def _rgb(*column: float) -> np.ndarray:
    return np.array(column, np.float32)[:, None]


def _tree(f, resolution):
    conifer = f.looks[7] < np.where(f.season == WINTER, 0.6, 0.4)
    t = noise.texture(resolution, f.u, f.v)
    ragged = t[:, noise.VALUE] * 0.12 + t[:, noise.GRAIN] * 0.10
    # broad crown: an ellipsoid with a ragged edge; conifer: a cone of tiers
    py, qy = f.p / 0.95, (f.q - 0.64) / 0.36
    angle = np.arctan2(qy, py)
    lobes = 0.10 * np.sin(5 * angle + 6 * f.looks[0]) + 0.07 * np.sin(8 * angle + 6 * f.looks[1])
    ball = (py * py + qy * qy) * (1.12 + lobes)
    tiers = (1 - f.q) * (1 - 0.4 * ((f.q * 5.5 + 0.3) % 1))
    cone = np.abs(f.p) / np.maximum(tiers, 1e-3)
    crown = np.where(conifer, (cone + ragged < 1) & (f.q > 0.1), ball + ragged < 1)
    trunk = (np.abs(f.p) < np.where(conifer, 0.06, 0.09)) & (f.q < 0.5) & ~crown
    bulge = np.sqrt(np.maximum(1 - np.where(conifer, cone * cone, ball), 0.04))
    nx = np.where(conifer, f.p / np.maximum(tiers, 0.05), py) + 0.45 * t[:, noise.SLOPE_X]
    ny = np.where(conifer, 0.45, qy) + 0.45 * t[:, noise.SLOPE_Y]
    normal = np.stack([np.where(trunk, f.p * 8, nx), np.where(trunk, 0.05, ny), np.where(trunk, 0.5, bulge)])
    hue = (f.looks[4] - 0.5)[None]
    leaf = _CROWN[f.season].T * (1 + hue * _rgb(0.9, 0.25, -0.3))
    blossom = (f.season == SPRING) & (f.looks[5] < 0.18)
    leaf = np.where(blossom, _rgb(0.62, 0.36, 0.42), leaf)
    gold = (f.season == AUTUMN) & (f.looks[5] > 0.6)
    leaf = np.where(gold, _rgb(0.50, 0.33, 0.04), leaf)
    leaf = np.where(conifer, _rgb(0.035, 0.10, 0.05) * (1 + hue), leaf)
    albedo = leaf * np.maximum(0.85 + 0.3 * t[:, noise.GRAIN] + 0.15 * t[:, noise.VALUE], 0.3) * (0.65 + 0.45 * f.q)
    albedo = np.where(trunk, _rgb(0.16, 0.10, 0.06), albedo)
    return crown | trunk, bulge * f.width * 0.3, normal, albedo, np.zeros_like(f.p)


def _house(f, resolution):
    flip = np.where(f.looks[7] < 0.5, 1, -1)
    p, q = f.p * flip, f.q
    corner, eaves = 0.05 + 0.4 * f.looks[6], 0.5 + 0.12 * f.looks[5]
    apex, half = (corner - 1) / 2, (corner + 1) / 2
    up = np.clip((q - eaves) / (1 - eaves), 0, 1)
    front = (p < corner) & (q < eaves + (1 - eaves) * np.maximum(1 - np.abs(p - apex) / half, 0))
    roof = (q > eaves) & (p > corner - half * up - 0.02) & (p < 1 - 0.35 * half * up) & ~(front & (p < apex))
    roof |= (q > eaves - 0.03) & (np.abs(q - eaves - (1 - eaves) * (1 - np.abs(p - apex) / half)) < 0.05) & (p < corner)
    wall = (p >= corner) & (q <= eaves) & (p < 0.96)
    normal = np.where(
        roof,
        _rgb(0.45, 0.75, 0.5),
        np.where(wall, _rgb(0.75, 0, 0.66), _rgb(-0.35, 0, 0.94)),
    )
    normal[0] *= flip
    # windows in a grid on both walls, a door in the front
    across = np.where(wall, (p - corner) / (1 - corner) * 2.5, (p + 1) / (corner + 1) * 3)
    window = (np.abs(across % 1 - 0.5) < 0.22) & (np.abs(q / eaves - 0.58) < 0.17) & ~roof
    door = front & (np.abs(across - 1.5) < 0.25) & (q < eaves * 0.68)
    window &= ~(front & (np.abs(across - 1.5) < 0.5))
    paint = _WALLS[(f.looks[4] * 5).astype(int)].T
    tiles = _ROOFS[(f.looks[1] * 3).astype(int)].T * (0.9 + 0.2 * (np.floor(q * 30) % 2))
    albedo = np.where(roof, tiles, np.where(door, _rgb(0.16, 0.08, 0.04), paint))
    albedo = np.where(window & ~door, _rgb(0.05, 0.07, 0.10), albedo)
    out = np.where(front, f.width * 0.25, np.where(roof, 0.1, 0.12) * f.width)
    return front | roof | wall, out, normal, albedo, np.where(window & ~door, 0.9, 0)


def _skyscraper(f, resolution):
    corner = 0.2 + 0.5 * f.looks[4]
    flip = np.where(f.looks[7] < 0.5, 1, -1)
    p = f.p * flip
    setback = np.where((f.looks[5] > 0.5) & (f.q > 0.8), 0.65, 1.0)
    inside = np.abs(p) < setback
    facing = p < corner
    normal = np.where(facing, _rgb(-0.3, 0.0, 0.95), _rgb(0.9, 0.0, 0.43))
    normal[0] *= flip
    floors, bays = f.height / 6, f.width / 6
    window = (np.abs((f.q * floors) % 1 - 0.5) < 0.3) & (np.abs((p * bays) % 1 - 0.5) < 0.32)
    room_u, room_v = np.floor(p * bays) * 0.37 + 9 + f.looks[0] * 4, np.floor(f.q * floors) * 0.53 + f.looks[1] * 4
    lit = window & (noise.texture(resolution, room_u, room_v)[:, noise.VALUE] > 0.2)
    tone = (0.6 + 0.9 * f.looks[6]) * (1 + (f.looks[2] - 0.5) * _rgb(0.5, 0.1, -0.4))
    albedo = np.where(window, _rgb(0.12, 0.17, 0.24), _rgb(0.30, 0.33, 0.38) * tone)
    return inside, np.where(facing, 3.0, 0.0), normal, albedo, np.where(window & lit, 0.55, 0)


def _rock(f, resolution):
    t = noise.texture(resolution, f.u, f.v)
    lean = (f.looks[4] - 0.5) * 0.6
    ball = (f.p - lean * f.q) ** 2 * 1.1 + (f.q * 1.02) ** 2
    inside = ball + 0.14 * t[:, noise.VALUE] < 1
    bulge = np.sqrt(np.maximum(1 - ball, 0.03))
    normal = np.stack([f.p + 0.55 * t[:, noise.SLOPE_X], f.q * 0.9 + 0.3 + 0.5 * t[:, noise.SLOPE_Y], bulge])
    tone = _rgb(0.30, 0.28, 0.26) * (1 + (f.looks[5] - 0.5) * _rgb(0.5, 0.2, -0.2))
    albedo = tone * np.maximum(0.9 + 0.2 * t[:, noise.GRAIN], 0.3)
    return inside, bulge * f.width * 0.4, normal, albedo, np.zeros_like(f.p)


def _fence(f, resolution):
    posts = np.maximum(np.round(f.width / 1.6), 2)
    thick = np.maximum(0.12, 0.8 / (f.scale * resolution))  # metres, but never thinner than a pixel
    post = np.abs((f.p + 1) / 2 * posts % 1 - 0.5) * f.width / posts < thick / 2 * 1.2
    rail = (np.abs(f.q - 0.42) * f.height < thick / 2) | (np.abs(f.q - 0.8) * f.height < thick / 2)
    normal = np.stack([np.zeros_like(f.p), np.full_like(f.p, 0.1), np.ones_like(f.p)])
    wood = np.where(f.looks[4] < 0.5, _rgb(0.62, 0.60, 0.56), _rgb(0.28, 0.18, 0.10))
    return post | rail, np.where(post, 0.1, 0.05), normal, wood * np.where(post, 1.0, 0.85), np.zeros_like(f.p)


def _boat(f, resolution):
    hull = (f.q < 0.17) & (np.abs(f.p) < 0.62 + f.q * 1.9)
    mast = np.abs(f.p) < np.maximum(0.02, 0.6 / (f.width * f.scale * resolution))
    sail_right = (f.p > 0.03) & (f.q > 0.24) & (f.p < 0.75 * (1 - f.q) + 0.05)
    sail_left = (f.p < -0.03) & (f.q > 0.24) & (-f.p < 0.5 * (0.9 - f.q))
    sail = sail_right | sail_left
    normal = np.where(
        hull,
        _rgb(0.0, 0.2, 0.98),
        np.where(sail_right, _rgb(0.35, 0.1, 0.93), _rgb(-0.3, 0.1, 0.95)),
    )
    paint = _PAINT[(f.looks[4] * 5).astype(int)].T
    cloth = np.where(f.looks[5] < 0.7, _rgb(0.78, 0.76, 0.70), _rgb(0.65, 0.22, 0.12))
    albedo = np.where(
        hull,
        np.where(f.q > 0.13, _rgb(0.6, 0.5, 0.35), paint),
        np.where(sail, cloth, _rgb(0.2, 0.14, 0.08)),
    )
    return hull | sail | (mast & (f.q > 0.1)), np.where(hull, 0.8, 0.1), normal, albedo, np.zeros_like(f.p)


def _car(f, resolution):
    p, q = f.p, f.q
    body = (q > 0.16) & (q < 0.62) & (np.abs(p) < 0.98 - np.maximum(q - 0.5, 0))
    cabin = (q >= 0.55) & (np.abs(p + 0.08) < 0.95 - 0.75 * q)
    squash = f.height / f.width * 2
    wheel = ((np.abs(p) - 0.6) ** 2 + ((q - 0.17) * squash) ** 2) < (0.17 * squash) ** 2
    glass = (
        cabin
        & (q > 0.63)
        & (q < 0.92)
        & (np.abs(np.abs(p + 0.08) - 0.02) > 0.03)
        & (np.abs(p + 0.08) < 0.86 - 0.75 * q)
    )
    normal = np.stack([p * 0.3, np.where(glass, 0.35, np.clip(q - 0.35, 0, 1) * 1.6), np.ones_like(p)])
    paint = _PAINT[(f.looks[4] * 5).astype(int)].T
    albedo = np.where(wheel, np.float32(0.02), np.where(glass, _rgb(0.06, 0.08, 0.10), paint))
    lamps = body & (np.abs(p) > 0.9) & (np.abs(q - 0.42) < 0.08)
    return body | cabin | wheel, np.where(wheel, 0.9, 0.8), normal, albedo, np.where(lamps, 1.0, 0)


SHAPES = {TREE: _tree, HOUSE: _house, SKYSCRAPER: _skyscraper, ROCK: _rock, FENCE: _fence, BOAT: _boat, CAR: _car}
