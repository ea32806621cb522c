"""The synthetic data set: varied outdoor scenes with exact labels, depth, normals and captions."""

from piti.datasets.classes import CLASSES
from piti.scenes.captions import LENGTH, VOCABULARY, caption, encode
from piti.scenes.render import Scenes, render
from piti.scenes.write import write

__all__ = ["CLASSES", "LENGTH", "VOCABULARY", "Scenes", "caption", "encode", "render", "write"]
