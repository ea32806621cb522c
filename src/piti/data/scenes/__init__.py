"""The drawn data set: varied outdoor scenes with exact labels, depth, normals and captions."""

from piti.data.scenes.captions import LENGTH, VOCABULARY, caption, encode
from piti.data.scenes.classes import CLASSES
from piti.data.scenes.render import Scenes, render
from piti.data.scenes.write import WRITERS, write

__all__ = ["CLASSES", "LENGTH", "VOCABULARY", "WRITERS", "Scenes", "caption", "encode", "render", "write"]
