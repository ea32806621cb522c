"""The worlds that scenes are drawn from: the task's, and three at growing distances from it, to pretrain on."""

from dataclasses import dataclass, replace

from piti.datasets.classes import BOAT, CAR, FENCE, FLOWER, HOUSE, ROAD, SAND, SKYSCRAPER


@dataclass(frozen=True)
class Style:
    """Where worlds differ. Odds are relative, in the order of the captions' words; ranges are least and most."""

    without: tuple[int, ...]  # classes that are never drawn
    light: tuple[float, ...]  # odds of LIGHTS
    weather: tuple[float, ...]  # odds of WEATHERS; snow falls in winter alone
    develop: tuple[float, ...]  # odds of STYLES, the ways to develop a photograph
    tilt: float  # how far the colours of the land vary from scene to scene
    colours: tuple[tuple[float, float, float], ...]  # rows: how red, green and blue are mixed from the task's
    focal: tuple[float, float]  # length, in sides of the picture
    eye: tuple[float, float]  # metres above the ground
    horizon: tuple[float, float]  # below the picture's top, in sides
    fineness: float  # of textures: how often they repeat, against the task's
    roughness: float  # of textures: how strongly they show, against the task's


_TASK = Style(
    without=(),
    light=(1.5, 6, 1.5, 0.5),
    weather=(3, 7, 1.2, 0.6, 1),
    develop=(1, 0, 0, 0, 0, 0),
    tilt=0.4,
    colours=((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    focal=(0.75, 1.25),
    eye=(1.6, 4.5),
    horizon=(0.36, 0.6),
    fineness=1,
    roughness=1,
)
_NEAR = replace(  # the same land, photographed in every way
    _TASK, light=(2, 5, 2, 1.2), weather=(3, 6, 1.6, 0.9, 2), develop=(6, 2, 1.6, 2, 2, 0.7), tilt=1
)
_MIDDLE = replace(  # pinkish land seen from a hill by a longer lens; 4 of the task's 17 labels are missing
    _NEAR,
    without=(FLOWER, SKYSCRAPER, BOAT, CAR),
    light=(3, 3, 3, 1.5),
    weather=(3, 4, 2, 1.5, 2),
    colours=((0.6, 0.5, 0), (0.3, 0.4, 0.3), (0.1, 0.4, 0.5)),
    focal=(1.2, 1.9),
    eye=(4, 11),
    horizon=(0.2, 0.42),
    fineness=2,
    roughness=1.8,
)
_FAR = replace(  # bluish and rougher, from higher still; 8 of the 17 are missing
    _MIDDLE,
    without=(FLOWER, SKYSCRAPER, BOAT, CAR, HOUSE, ROAD, FENCE, SAND),
    colours=((0.1, 0.3, 0.6), (0.2, 0.6, 0.2), (0.7, 0.2, 0.1)),
    focal=(1.6, 2.4),
    eye=(6, 16),
    horizon=(0.12, 0.3),
    fineness=2.4,
    roughness=2,
)
STYLES = {"task": _TASK, "near": _NEAR, "middle": _MIDDLE, "far": _FAR}
