"""Things put into a scene: where they stand, which of their fragments are seen, and the shadows they cast."""

from types import SimpleNamespace

import numpy as np

from piti.datasets.classes import BOAT, CAR, FENCE, GRASS, HOUSE, ROAD, ROCK, SAND, SEA, SKYSCRAPER, TREE, WATER
from piti.scenes.shapes import SHAPES

_STANDS_ON = {
    TREE: (GRASS, SAND),
    HOUSE: (GRASS, SAND),
    ROCK: (GRASS, SAND),
    FENCE: (GRASS,),
    BOAT: (SEA, WATER),
    CAR: (ROAD,),
}
_HOLDS_SNOW = np.array([1, 1, 1, 1, 0.5, 0.6, 0.3], np.float32)  # by class from TREE on


def place(g: SimpleNamespace, w: SimpleNamespace) -> None:
    """Draw the things into the geometry buffer, nearest fragment first, and their shadows on the ground.

    Adds `g.instances`: 0 where there is no thing, else 1 + its place in the scene's list of things.
    """
    resolution, n = g.resolution, len(w.horizon)
    t = w.things
    scene = np.broadcast_to(np.arange(n)[:, None], t.kind.shape)
    foot = -w.focal[:, :, 0] * w.eye[:, :, 0] / t.z  # height of the foot in the picture
    centre = w.focal[:, :, 0] * t.x / t.z
    row = np.clip(((w.horizon[:, :, 0] - foot) * resolution).astype(int), 0, resolution - 1)
    column = np.clip(((centre + 0.5) * resolution).astype(int), 0, resolution - 1)
    below = g.classes[scene, row, column]
    stands = t.kind == SKYSCRAPER
    for kind, ground in _STANDS_ON.items():
        stands |= (t.kind == kind) & np.isin(below, ground)
    seen = np.flatnonzero((t.there & stands & (np.abs(centre) < 0.75)).ravel())

    number = np.broadcast_to(np.arange(1, t.kind.shape[1] + 1, dtype=np.uint8), t.kind.shape)
    o = SimpleNamespace(scene=scene.ravel()[seen], kind=t.kind.ravel()[seen], looks=t.looks.reshape(-1, 8)[seen])
    o.number = number.ravel()[seen]
    for name, value in (("z", t.z), ("foot", foot), ("centre", centre), ("height", t.height), ("width", t.width)):
        setattr(o, name, value.ravel()[seen].astype(np.float32))
    o.scale = w.focal[o.scene, 0, 0] / o.z  # picture heights per metre
    o.horizon = w.horizon[o.scene, 0, 0]
    o.season = w.season[o.scene, 0, 0]
    _shadows(g, w, o)

    parts = [_drawn(o, kind, resolution) for kind in SHAPES]
    pixel, thing, depth, normal, albedo, glow = (np.concatenate(p, axis=-1) for p in zip(*parts, strict=True))
    nearest = g.depth.reshape(-1)
    np.minimum.at(nearest, pixel, depth)
    top = np.flatnonzero(depth == nearest[pixel])
    pixel, thing, normal = pixel[top], thing[top], normal[:, top]
    kind = o.kind[thing]
    g.instances = np.zeros_like(g.classes)
    g.instances.reshape(-1)[pixel] = o.number[thing]
    g.classes.reshape(-1)[pixel] = kind
    g.normal.reshape(3, -1)[:, pixel] = normal / np.sqrt((normal * normal).sum(axis=0))
    g.albedo.reshape(3, -1)[:, pixel] = albedo[:, top]
    g.glow.reshape(-1)[pixel] = glow[top]
    g.sunlit.reshape(-1)[pixel] = 1
    g.snowy.reshape(-1)[pixel] = _HOLDS_SNOW[kind - TREE]


def _drawn(o: SimpleNamespace, kind: int, resolution: int) -> tuple[np.ndarray, ...]:
    """Pixel, thing (place in `o`), depth, normal, albedo and glow of every fragment of one kind of thing."""
    f = _fragments(o, np.flatnonzero(o.kind == kind), resolution)
    inside, out, normal, albedo, glow = SHAPES[kind](f, resolution)
    keep = np.flatnonzero(inside)
    depth = (f.z - out).astype(np.float32)[keep]
    return f.pixel[keep], f.index[keep], depth, normal[:, keep], albedo[:, keep], glow[keep]


def _fragments(o: SimpleNamespace, which: np.ndarray, resolution: int) -> SimpleNamespace:
    """Every pixel of the things' bounding boxes, with its place p, q in the thing's frame."""
    half, tall = o.width[which] * o.scale[which] / 2, o.height[which] * o.scale[which]
    left = np.clip(np.floor((o.centre[which] - half + 0.5) * resolution), 0, resolution).astype(int)
    right = np.clip(np.ceil((o.centre[which] + half + 0.5) * resolution), 0, resolution).astype(int)
    top = np.clip(np.floor((o.horizon[which] - o.foot[which] - tall) * resolution), 0, resolution).astype(int)
    bottom = np.clip(np.ceil((o.horizon[which] - o.foot[which]) * resolution), 0, resolution).astype(int)
    columns, rows = np.maximum(right - left, 0), np.maximum(bottom - top, 0)
    count = columns * rows
    it = np.repeat(np.arange(len(which)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    row, column = np.divmod(within, np.maximum(columns, 1)[it])
    row, column = row + top[it], column + left[it]
    f = SimpleNamespace(pixel=(o.scene[which][it] * resolution + row) * resolution + column)
    thing = which[it]
    f.p = (((column + 0.5) / resolution - 0.5 - o.centre[thing]) / half[it]).astype(np.float32)
    f.q = ((o.horizon[thing] - (row + 0.5) / resolution - o.foot[thing]) / tall[it]).astype(np.float32)
    for name in ("z", "height", "width", "season", "scale"):
        setattr(f, name, getattr(o, name)[thing])
    f.looks = o.looks[thing].T
    f.index = thing
    f.u = f.p * half[it].astype(np.float32) * 1.5 + f.looks[0] * 4 + 4  # the atlas at the picture's own resolution
    f.v = f.q * tall[it].astype(np.float32) * 1.5 + f.looks[1] * 4
    return f


def _shadows(g: SimpleNamespace, w: SimpleNamespace, o: SimpleNamespace) -> None:
    """The ground beside a thing lies in its shadow: an ellipse from its foot away from the sun."""
    o = SimpleNamespace(**{k: v[np.isin(o.kind, (TREE, HOUSE, ROCK, CAR))] for k, v in vars(o).items()})
    azimuth, behind, focal = (v[o.scene, 0, 0] for v in (w.azimuth, w.behind, w.focal))
    reach = np.minimum(o.height / np.tan(w.elevation[o.scene, 0, 0]), 2.2 * o.height) / 2  # half the length, metres
    along_x, along_z = -np.sin(azimuth), np.where(behind, 1, -1) * np.cos(azimuth)  # z away from the viewer
    middle_x, middle_z = o.centre / o.scale + along_x * reach, o.z + along_z * reach
    # the ellipse's box on the ground, as a frame in the picture
    far = o.z + 2 * np.maximum(along_z * reach, 0) + o.width / 2
    near = np.maximum(o.z + 2 * np.minimum(along_z * reach, 0) - o.width / 2, 2)
    box = SimpleNamespace(**vars(o))
    box.foot = o.foot * o.z / near
    box.height = (o.foot * o.z / far - box.foot) / o.scale
    box.width = (o.width + 4 * np.abs(along_x) * reach) * o.z / near
    f = _fragments(box, np.arange(len(o.z)), g.resolution)

    scene, pixel = np.divmod(f.pixel, g.resolution**2)
    row, column = np.divmod(pixel, g.resolution)
    i = f.index
    z = focal[i] * w.eye[scene, 0, 0] / np.maximum(-g.y[scene, row, 0], 1e-3)
    x = g.x[0, 0, column] * z / focal[i]
    a = ((x - middle_x[i]) * along_x[i] + (z - middle_z[i]) * along_z[i]) / (reach[i] + 0.2 * o.width[i])
    b = ((x - middle_x[i]) * along_z[i] - (z - middle_z[i]) * along_x[i]) / (0.45 * o.width[i])
    light = 1 - 0.8 * np.clip(1.3 - a * a - b * b, 0, 1)
    np.minimum.at(g.sunlit.reshape(-1), f.pixel, light.astype(np.float32))
