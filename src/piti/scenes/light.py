"""Light, air and film: from the geometry buffer to a photograph."""

from types import SimpleNamespace

import numpy as np

from piti.datasets.classes import RIVER, SEA
from piti.scenes import noise
from piti.scenes.world import COOL, FADED, FOG, GREY, NIGHT, OVERCAST, PLAIN, SNOW, VIVID, WARM

# linear colours at dawn, noon, dusk, night
_ZENITH = np.array([(0.20, 0.26, 0.50), (0.07, 0.22, 0.62), (0.14, 0.12, 0.34), (0.006, 0.010, 0.035)], np.float32)
_HORIZON = np.array([(0.90, 0.62, 0.50), (0.50, 0.68, 0.88), (0.95, 0.38, 0.14), (0.025, 0.04, 0.10)], np.float32)
_SUN = np.array([(1.5, 1.0, 0.65), (1.75, 1.62, 1.40), (1.6, 0.75, 0.32), (0.16, 0.22, 0.34)], np.float32)
_AMBIENT = np.array([(0.50, 0.46, 0.52), (0.50, 0.56, 0.66), (0.40, 0.32, 0.38), (0.07, 0.10, 0.17)], np.float32)
_SNOW = np.array([0.80, 0.83, 0.88], np.float32)
_LAMP = np.array([1.0, 0.72, 0.3], np.float32)
_TARNISH = np.array([0.75, 0.86, 0.95], np.float32)  # what water keeps of the light it mirrors
_f = np.float32


def photograph(g: SimpleNamespace, w: SimpleNamespace) -> np.ndarray:
    """The picture, uint8 N×S×S×3, of a geometry buffer in the mood of its worlds."""
    dull = _by(w.weather, {OVERCAST: 0.8, FOG: 0.9, SNOW: 0.7})
    colours = np.float32(w.style.colours)
    sky = (_ZENITH @ colours.T, _HORIZON @ colours.T)
    zenith, horizon, sun, ambient = (table[w.light[:, 0, 0]].T[:, :, None, None] for table in (*sky, _SUN, _AMBIENT))
    grey = _luma(zenith + horizon) * 0.5
    zenith = zenith + (1.2 * grey - zenith) * dull
    horizon = horizon + (1.5 * grey - horizon) * dull
    sun, ambient = sun * (1 - 0.85 * dull), ambient * (1 + 0.9 * dull)

    toward = np.where(w.behind, 1, -1) * np.cos(w.azimuth) * np.cos(w.elevation)
    to_sun = np.sin(w.azimuth) * np.cos(w.elevation), np.sin(w.elevation), toward
    facing = np.maximum(g.normal[0] * to_sun[0] + g.normal[1] * to_sun[1] + g.normal[2] * to_sun[2], 0)
    lit = facing * g.sunlit
    open_sky = (0.62 + 0.38 * g.normal[1]) * (0.7 + 0.3 * g.sunlit)

    lies = np.clip((g.normal[1] - 0.42 + 0.08 * g.texture[..., noise.VALUE]) * 6, 0, 1) * w.snow * g.snowy
    fog = 1 / _by(w.weather, {FOG: 40, SNOW: 250, OVERCAST: 400}, 800)
    clear = np.exp(-np.minimum(g.depth, 1e4) * fog)
    glow = g.glow * (w.light == NIGHT)
    image = np.ascontiguousarray(_sky(g, w, zenith, horizon, sun, dull))
    land = g.depth < np.inf
    for k, seen in enumerate(np.tensordot(colours, g.albedo, 1)):
        albedo = seen + (_SNOW[k] - seen) * lies
        surface = albedo * (ambient[k] * open_sky + sun[k] * lit) + glow * _LAMP[k]
        np.copyto(image[k], horizon[k] + (surface - horizon[k]) * clear, where=land)
    _mirror(g, w, image, 0.6 * horizon + 0.4 * zenith)
    return _film(g, w, image)


def _sky(g, w, zenith, horizon, sun, dull) -> np.ndarray:
    """Sky, sun or moon with its halo, stars and clouds; 3×N×S×S."""
    up = np.clip(g.y * 1.9, 0, 1)
    sky = horizon + (zenith - horizon) * up * (2 - up)
    night = w.light == NIGHT
    distance = np.hypot(g.x - np.tan(w.azimuth * 0.6) * w.focal * 0.8, g.y - np.tan(w.elevation) * w.focal * 0.6)
    disc = np.clip((0.035 - distance) * g.resolution * 0.7, 0, 1)
    halo = np.exp(-distance * np.where(night, _f(14), _f(7))) * np.where(night, _f(0.35), _f(0.6))
    sky = sky + (disc + halo) * (~w.behind * (1 - dull)) * np.where(night, _f(5), _f(0.9)) * sun
    stars = np.maximum(g.specks - 2.3, 0) * np.clip(g.y * 6, 0, 1) * (night * (1 - dull) * 0.5)
    white = _luma(horizon)
    cloud = (0.5 * white + 0.5 * horizon + 0.16 * sun) * g.cloud_light
    return sky + stars + (cloud - sky - stars) * g.cloud


def _mirror(g, w, image, sky) -> None:
    """Lakes and rivers mirror the picture about the horizon, rippled; the sea mirrors plain sky, with waves."""
    wet = np.flatnonzero((g.classes >= SEA) & (g.classes <= RIVER))
    scene, pixel = np.divmod(wet, g.resolution**2)
    row, column = np.divmod(pixel, g.resolution)
    y = g.y[scene, row, 0]
    value, grain = g.texture.reshape(-1, 4)[wet][:, [noise.VALUE, noise.GRAIN]].T
    slope = g.texture.reshape(-1, 4)[wet, noise.SLOPE_Y]
    ripple = value * _f(0.012) + grain * _f(0.003)
    row = np.floor((w.horizon[scene, 0, 0] + y - ripple) * g.resolution).astype(int)
    inside = (row >= 0) & (row < g.resolution)
    column = np.clip(column + (ripple * g.resolution * _f(0.4)).astype(int), 0, g.resolution - 1)
    source = (scene * g.resolution + np.where(inside, row, 0)) * g.resolution + column
    depth = g.depth.ravel()
    seen = inside & (depth[source] > depth[wet]) & (g.classes.ravel()[wet] != SEA)
    graze = np.clip(1 + y * 1.6, 0.3, 0.8)  # flat looks mirror, steep ones see the water
    sparkle = 1 + 2 * np.clip(slope * _f(0.03) + grain * _f(0.03), -0.1, 0.2)
    for k in range(3):
        plane = image[k].reshape(-1)
        mirrored = np.where(seen, plane[source], sky[k, :, 0, 0][scene]) * sparkle * _TARNISH[k]
        plane[wet] += (mirrored - plane[wet]) * graze


def _film(g, w, image) -> np.ndarray:
    """Falling snow, exposure, a soft lens, and the way the photograph was developed."""
    flakes = np.clip((g.specks - 1.7) * 1.5, 0, 0.85) * (w.weather == SNOW)
    image += (np.maximum(image, np.where(w.light == NIGHT, _f(0.26), _f(0.75))) - image) * flakes
    np.sqrt(np.clip(image, 0, 1.6, out=image), out=image)
    np.minimum(image, 0.375 + 0.5 * image, out=image)  # a shoulder instead of clipped highlights
    image[:, :, 1:-1] += (image[:, :, :-2] + image[:, :, 2:] - 2 * image[:, :, 1:-1]) * _f(0.14)
    image[..., 1:-1] += (image[..., :-2] + image[..., 2:] - 2 * image[..., 1:-1]) * _f(0.14)

    saturation = 1 + _by(w.develop, {VIVID: 0.45, FADED: -0.35}) * w.taste - (w.develop == GREY)
    contrast = 1 + _by(w.develop, {VIVID: 0.2, FADED: -0.3, GREY: 0.15}) * w.taste
    warmth = _by(w.develop, {WARM: 0.13, COOL: -0.13}) * w.taste
    lift = 0.45 + _by(w.develop, {FADED: 0.07}) * w.taste
    corner = g.x**2 + (g.y - w.horizon + 0.5) ** 2
    vignette = 1 - _by(w.develop, {PLAIN: 0}, 0.35) * w.taste * corner
    luma = _luma(image)
    out = np.empty((*luma.shape, 3), np.uint8)
    for k, tint in enumerate((1, _f(0.1), -1)):
        plane = luma + (image[k] - luma) * saturation
        plane = ((plane - _f(0.45)) * contrast + lift) * vignette * (1 + tint * warmth)
        out[..., k] = np.clip(plane * 255 + _f(0.5), 0, 255)
    return out


def _luma(planes: np.ndarray) -> np.ndarray:
    return _f(0.3) * planes[0] + _f(0.59) * planes[1] + _f(0.11) * planes[2]


def _by(choice: np.ndarray, values: dict[int, float], default: float = 0.0) -> np.ndarray:
    """A float32 number for each scene by one of its choices."""
    return np.select([choice == c for c in values], [_f(v) for v in values.values()], _f(default))
