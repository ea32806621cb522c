"""Photographs at a smaller resolution."""

import numpy as np
from PIL import Image


def shrink(images: np.ndarray, resolution: int) -> np.ndarray:
    """PIL's bicubic resize of uint8 N x S x S x 3 to N x resolution x resolution x 3: the base model's target (facts
    1.3).

    It commutes exactly with a horizontal flip (a test holds it), so it is done once, when shards are packed, and not
    at every training step.
    """
    resized = [Image.fromarray(image).resize((resolution, resolution), Image.Resampling.BICUBIC) for image in images]
    return np.stack([np.asarray(image) for image in resized])
