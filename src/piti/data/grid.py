"""Many pictures as one, for people to look at."""

import numpy as np


def grid(images: np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """uint8 N×S×S×3 -> one uint8 picture of `columns` columns, row by row, white between them."""
    n, resolution, _, _ = images.shape
    rows = -(-n // columns)
    step = resolution + gap
    sheet = np.full((rows * step - gap, columns * step - gap, 3), 255, np.uint8)
    for i, image in enumerate(images):
        y, x = i // columns * step, i % columns * step
        sheet[y : y + resolution, x : x + resolution] = image
    return sheet
