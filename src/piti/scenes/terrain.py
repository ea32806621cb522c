"""The lie of the land: sky, clouds, mountains, hills, ground, water, road and flowers as a geometry buffer."""

from types import SimpleNamespace

import numpy as np

from piti.datasets.classes import CLASSES, CLOUDS, FLOWER, GRASS, HILL, MOUNTAIN, RIVER, ROAD, SAND, SEA, SKY, WATER
from piti.scenes import noise
from piti.scenes.world import FAIR, FOG, OVERCAST, SNOW, strip_centre

FARTHEST = 300.0  # metres; the open sea ends there

_GRASS = np.array([(0.13, 0.27, 0.04), (0.12, 0.22, 0.04), (0.30, 0.24, 0.08), (0.22, 0.20, 0.10)], np.float32)
_WOODS = np.array([(0.10, 0.21, 0.05), (0.07, 0.16, 0.05), (0.28, 0.17, 0.05), (0.14, 0.14, 0.09)], np.float32)
_PETALS = np.array([(0.75, 0.08, 0.06), (0.85, 0.65, 0.05), (0.45, 0.18, 0.62), (0.85, 0.80, 0.80)], np.float32)

_TEXTURE = np.zeros((len(CLASSES), 3), np.float32)  # relief of the surface, mottling and grain of its colour
_TEXTURE[[MOUNTAIN, HILL, GRASS, SAND, ROAD, FLOWER]] = [
    (0.75, 0.12, 0.05),
    (0.30, 0.16, 0.12),
    (0.16, 0.20, 0.12),
    (0.10, 0.07, 0.03),
    (0.03, 0.05, 0.03),
    (0.20, 0.20, 0.10),
]


def terrain(w: SimpleNamespace, resolution: int) -> SimpleNamespace:
    """Geometry buffer of the land, N×S×S: classes, depth (inf in the sky), and three planes of normal and albedo."""
    x = ((np.arange(resolution, dtype=np.float32) + 0.5) / resolution - 0.5)[None, None, :]
    y = w.horizon - ((np.arange(resolution, dtype=np.float32) + 0.5) / resolution)[None, :, None]
    n = len(w.horizon)
    g = SimpleNamespace(resolution=resolution, x=x, y=y)
    g.classes = np.full((n, resolution, resolution), SKY, np.uint8)
    g.depth = np.full((n, resolution, resolution), np.inf, np.float32)

    z, far = _ridges(g, w, x, y)
    ground = _ground(g, w, x, y, z, far)
    _clouds(g, w, x, y)

    # one look into the atlas for every surface: stretched along the ground, upright on slopes
    root = np.sqrt(np.minimum(g.depth, FARTHEST))
    u = np.where(ground, x * root * 0.8, x * 1.7) * w.style.fineness + w.offset_u + 4
    v = np.where(ground, root * 0.7, y * 1.7) * w.style.fineness + w.offset_v + 4
    g.texture = noise.texture(resolution, u, v)
    _flowers(g, w, x, z)
    _surface(g, w, ground)
    return g


def _ridges(g: SimpleNamespace, w: SimpleNamespace, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two chains of mountains and the hills, from far to near. Returns ground depth and where the ground ends."""
    far = np.full_like(w.eye, FARTHEST)
    inland = np.clip((w.headland - x) * w.headland_side * 5 + (w.headland > 1) * 9, 0, 1)
    for step, shrink, tall in ((0, 1.0, 1.0), (1, 0.8, 0.55)):
        shape = noise.profile((x + 1) * w.mountain_pitch + w.mountain_phase + 91 * step, 5)
        crest = w.mountain_height * tall * (0.15 + 2.2 * np.maximum(shape - 0.25, 0)) * inland
        _raise(g, y, crest, w.mountains & (inland > 0), MOUNTAIN, w.mountain_far * shrink, w)
        far = np.where(w.mountains & (w.headland > 1), w.mountain_far * shrink, far)
    shape = noise.profile((x + 1) * w.hill_pitch + w.hill_phase, 3)
    g.hill_slope = np.gradient(shape, axis=2) * g.resolution * w.hill_height
    _raise(g, y, w.hill_height * (0.2 + shape), w.hills, HILL, w.hill_far, w)
    far = np.where(w.hills, w.hill_far, far)
    z = w.focal * w.eye / np.maximum(-y, 1e-4)
    return z, far


def _raise(g, y, crest, there, c, distance, w) -> None:
    """Everything below a crest line is class `c`, its foot `distance` metres away, its top 1.3 times as far."""
    foot = -w.focal * w.eye / distance
    mask = there & (y < crest)
    rise = np.clip((y - foot) / np.maximum(crest - foot, 1e-3), 0, 1)
    np.copyto(g.classes, np.uint8(c), where=mask)
    np.copyto(g.depth, distance * (1 + 0.3 * rise), where=mask)


def _ground(g, w, x, y, z, far) -> np.ndarray:
    """The plane in front of the ridges, and what lies flat on it."""
    ground = (y < 0) & (z < far)
    across = x * z / w.focal
    wobble = noise.profile((x + 1) * 3 + w.shore_phase, 3) - 0.5
    c = np.where(ground, w.ground, g.classes)
    c = np.where(ground & (z > w.shore * (1 + 0.5 * wobble)), SEA, c)
    lake = ((across - w.lake_x) / w.lake_rx) ** 2 + ((z - w.lake_z) / w.lake_rz) ** 2 < 1 + 0.9 * wobble
    c = np.where(ground & lake, WATER, c)
    off_centre = np.abs(across - strip_centre(w, z))
    g.road_middle = off_centre / w.strip_width
    c = np.where(ground & (w.strip > 0) & (off_centre < w.strip_width), w.strip, c)
    g.classes = c.astype(np.uint8)
    np.copyto(g.depth, np.minimum(z, FARTHEST), where=ground)
    return ground


def _clouds(g, w, x, y) -> None:
    """A sheet of cloud seen in perspective; where it is dense the sky is labelled clouds."""
    near = 1 / (np.maximum(y, 0) + 0.12)
    field = noise.texture(g.resolution, x * near * 0.35 + w.offset_u + 8, near * 0.3 + w.offset_v)
    threshold = np.select(
        [w.weather == FAIR, w.weather == OVERCAST, w.weather == SNOW, w.weather == FOG], [w.cover, -1.4, -1.6, 0.4], 9
    )
    density = np.clip((field[..., noise.VALUE] + 0.12 * field[..., noise.GRAIN] - threshold) * 1.6, 0, 1)
    g.cloud = np.where(g.classes == SKY, density, 0).astype(np.float32)
    g.cloud_light = np.clip(0.95 + 0.10 * field[..., noise.SLOPE_Y] - 0.10 * field[..., noise.VALUE], 0.55, 1.15)
    np.copyto(g.classes, np.uint8(CLOUDS), where=g.cloud > 0.5)


def _flowers(g, w, x, z) -> None:
    across = x * z / w.focal
    patch = ((across - w.flower_x) / w.flower_r) ** 2 + ((z - w.flower_z) / w.flower_r) ** 2
    bed = (g.classes == GRASS) & (patch + 0.25 * g.texture[..., noise.VALUE] < 1)
    np.copyto(g.classes, np.uint8(FLOWER), where=bed)


def _surface(g, w, ground) -> None:
    """Albedo and normals of the land."""
    value, slope_x, slope_y, grain = np.moveaxis(g.texture, -1, 0)
    c, season, tilt = g.classes, w.season[:, 0, 0], w.tilt[:, 0]
    colour = np.zeros((len(w.eye), len(CLASSES), 3), np.float32)
    colour[:, GRASS] = colour[:, FLOWER] = _GRASS[season] * (1 + tilt * np.float32([0.25, 0.0, -0.2]))
    colour[:, HILL] = _WOODS[season] * (1 + tilt * np.float32([0.3, 0.05, -0.1]))
    colour[:, SAND] = np.float32([0.55, 0.42, 0.25]) * (1 + tilt * np.float32([0.1, 0.05, -0.15]))
    colour[:, MOUNTAIN] = np.float32([0.26, 0.23, 0.21]) * (1 + tilt * np.float32([0.25, 0.0, -0.2]))
    colour[:, ROAD] = 0.14
    colour[:, [SEA, WATER, RIVER]] = np.float32([[0.02, 0.10, 0.14], [0.03, 0.10, 0.12], [0.05, 0.11, 0.10]])
    albedo = colour[np.arange(len(c))[:, None, None], c]  # N×S×S×3
    petals = (c == FLOWER) & (grain > 0.55)
    np.copyto(albedo, _PETALS[w.flower_hue], where=petals[..., None])
    dashes = (c == ROAD) & (g.road_middle < 0.04) & (np.minimum(g.depth, FARTHEST) % 6 < 3)
    np.copyto(albedo, np.float32(0.6), where=dashes[..., None])
    fade = np.where(ground, np.minimum(1, 12 / np.maximum(g.depth, 1)), 1)  # grass far away has no blades
    relief, mottle, grainy = (_TEXTURE[c, k] * np.float32(w.style.roughness) for k in range(3))
    shade = np.maximum(1 + mottle * value + grainy * grain * fade, 0.3)
    g.albedo = np.ascontiguousarray(np.moveaxis(albedo, -1, 0)) * shade

    hill = c == HILL
    nx = -relief * slope_x - np.where(hill, 1.5 * g.hill_slope, 0)
    ny = np.where(ground, 1, np.where(hill, np.float32(0.85), np.float32(0.55)) + relief * 0.6 * slope_y)
    nz = np.where(ground, relief * slope_y, np.where(hill, np.float32(0.55), np.float32(0.7)))
    g.normal = (np.stack([nx, ny, nz]) / np.sqrt(nx * nx + ny * ny + nz * nz)).astype(np.float32)
    g.glow = np.zeros_like(g.depth)
    g.sunlit = np.ones_like(g.depth)
    g.snowy = ((c < SEA) | (c > RIVER)).astype(np.float32)
    g.specks = noise.texture(g.resolution, g.x * 2.3 + w.offset_v, g.y * 2.3 + w.offset_u + 4)[..., noise.GRAIN]
