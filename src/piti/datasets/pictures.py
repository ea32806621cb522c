"""Picture files as people have them, and what their pixels mean. Layouts, `translate` and `score` read them here alone.

| in the file             | colours                                    | labels                                      |
|-------------------------|--------------------------------------------|---------------------------------------------|
| an orientation (EXIF)   | turned upright if `upright`, else as it is | the same                                    |
| the same, in a TIFF     | turned upright in any case, by PIL         | the same                                    |
| 16 bits                 | the high byte                              | refused; so are 1, 2 and 4 bits             |
| transparent pixels      | composed on `ground`                       | refused                                     |
| a palette               | its colours                                | its indices, if it shows them in grey or in |
|                         |                                            | the label colour map's colours; else its    |
|                         |                                            | colours, if they are that map's             |
| JPEG, lossy WEBP        | as decoded                                 | refused: ids do not survive it              |
| several frames, 32 bits | refused                                    | refused                                     |

Every fault is an InputError of one line: file, found, expected.
"""

import contextlib
import math
import os
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from tokenize import TokenError

import numpy as np
from PIL import Image

from piti.datasets.colours import colour_map, labels_of
from piti.store.archive import DAMAGE
from piti.store.files import InputError

PAPER, NO_EDGE = "white", "black"  # under transparent pixels: of photographs, as browsers have it, and of sketches
MAX_PIXELS = 80_000_000  # a larger picture is a decompression bomb, or at least no training picture
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # whatever a file is called; PIL hands others to programs (EPS)
TURNS = {  # EXIF orientation -> what turns it upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image file, its size, frames and checksums checked before a pixel is decoded, its faults told in one line."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            if math.prod(image.size) > MAX_PIXELS:
                raise InputError(f"{path}: found {spell(image.size)}, expected at most {MAX_PIXELS} pixels")
            frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # a camera's previews
            if frames > 1:
                raise InputError(f"{path}: found {frames} frames, expected one picture")
            if image.format == "PNG":  # PIL decodes pixels without a look at their checksums, which `verify` compares
                with Image.open(path, formats=("PNG",)) as twin:
                    twin.verify()
            yield image
    except (*DAMAGE, OSError, SyntaxError, TypeError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a whole image ({' '.join(str(error).split())})") from None


def size(path: Path, upright: bool = False) -> tuple[int, int]:
    """Width and height; of the picture turned upright, if asked for."""
    with opened(path) as image:
        return image.size[::-1] if upright and _orientation(image) in (5, 6, 7, 8) else image.size


def colours(path: Path, ground: str, upright: bool = False) -> Image.Image:
    """The picture as RGB, transparent pixels composed on `ground` (a colour's name)."""
    with opened(path) as image:
        image = _turned(image, upright)
        if image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        if image.mode in ("I", "F"):
            raise InputError(f"{path}: found 32 bits a pixel, expected 8 or 16")
        if image.has_transparency_data:
            below = Image.new("RGBA", image.size, ground)
            image = Image.alpha_composite(below, image.convert("RGBA"))
        return image.convert("RGB")


def labels(path: Path, upright: bool = False) -> np.ndarray:
    """What a label map says: uint8 H×W of ids, or H×W×3 of colours (a picture in colours, or a palette of them)."""
    with opened(path) as image:
        _refuse_lossy(path, image)
        image = _turned(image, upright)
        if image.has_transparency_data:
            if np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
                raise InputError(f"{path}: found transparent pixels, expected a label everywhere")
            image = image.convert({"LA": "L", "RGBA": "RGB"}.get(image.mode, image.mode))
        if image.mode == "P":
            return _indexed(image)
        if image.mode not in ("L", "RGB"):
            raise InputError(f"{path}: found a picture of mode {image.mode}, expected one channel of 8-bit label ids")
        return np.asarray(image)


def ids(path: Path, shift: int, upright: bool = False) -> np.ndarray:
    """Labels as they are stored, uint8 H×W: 0 void, then the classes; from ids, to which `shift` is added (255
    becomes 0), or from the colours that they are painted in.
    """
    found = labels(path, upright)
    if found.ndim == 2:
        return found + np.uint8(shift)
    try:
        return labels_of(found)
    except ValueError as error:
        raise InputError(f"{path}: {error}, or label ids in one channel") from None


def numbers(path: Path) -> np.ndarray:
    """A picture of one channel as numbers, H×W: depth, say, in 8, 16 or 32 bits."""
    with opened(path) as image:
        if not (image.mode.startswith("I") or image.mode in ("L", "F")):
            raise InputError(f"{path}: found a picture of mode {image.mode}, expected one channel of numbers")
        return np.asarray(image)


def uniform(path: Path) -> bool:
    """Whether all pixels of the file look alike, transparent ones too, to the last of their bits."""
    with opened(path) as image:
        seen = image if image.mode.startswith("I") else image.convert("RGBA").convert("RGBa")
        pixels = np.asarray(seen)
        return bool((pixels == pixels[0, 0]).all())


def nearest(array: np.ndarray, resolution: int) -> np.ndarray:
    """Pixel centres by nearest neighbour, as PIL's NEAREST but for ties."""
    rows, columns = (((np.arange(resolution) + 0.5) * n / resolution).astype(int) for n in array.shape[:2])
    return np.ascontiguousarray(array[rows[:, None], columns])


def depth_picture(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Depth as a picture of one channel, float32 height×width."""
    depth = numbers(path)
    if (found := depth.shape[::-1]) != size:
        raise InputError(f"{path}: found {spell(found)}, expected {spell(size)} as the image")
    return depth.astype(np.float32)


def array(path: Path, size: tuple[int, int], channels: int) -> np.ndarray:
    """A .npy of height×width, or height×width×channels; one channel comes back as height×width."""
    try:
        found = np.lib.format.open_memmap(path, mode="r")
    except (*DAMAGE, OSError, TokenError) as error:
        raise InputError(f"{path}: not a whole .npy file ({' '.join(str(error).split())})") from None
    plane = size[::-1]
    if (
        found.shape not in ((plane, (*plane, 1)) if channels == 1 else ((*plane, channels),))
        or found.dtype.kind not in "fiub"
    ):
        expected = spell(size) + (f" with {channels} channels" if channels > 1 else "")
        raise InputError(
            f"{path}: found {found.dtype} of shape {found.shape}, expected numbers for {expected} as the image"
        )
    return found.reshape(plane) if channels == 1 else found


def damage(path: Path) -> str:
    """What libjpeg says against a JPEG that it decodes all the same; "" where it has nothing to say.

    PIL keeps that to itself; OpenCV's libjpeg prints it.
    """
    try:
        with opened(path) as image:
            form = image.format
    except InputError:
        return ""  # which its reader says
    if form not in ("JPEG", "MPO"):
        return ""
    import cv2

    with tempfile.TemporaryFile() as said:
        kept = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            with contextlib.suppress(cv2.error):
                cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        said.seek(0)
        return " ".join(said.read().decode(errors="replace").split())


def spell(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]} pixels"


def _orientation(image: Image.Image) -> int:
    """As EXIF numbers it; 1 where it is garbage. PIL turns TIFF when it decodes it, and tells its size as if it had."""
    if image.format == "TIFF":
        return 1
    try:
        return image.getexif().get(0x0112, 1)
    except (SyntaxError, ValueError, struct.error):  # PIL itself overlooks that in JPEG
        return 1


def _turned(image: Image.Image, upright: bool) -> Image.Image:
    """PIL's `exif_transpose` would write all EXIF anew, and fail where one entry is odd."""
    turn = TURNS.get(_orientation(image)) if upright else None
    return image if turn is None else image.transpose(turn)


def _refuse_lossy(path: Path, image: Image.Image) -> None:
    """Label ids must come out as they went in."""
    form, bits = image.format, 8
    if form in ("JPEG", "MPO") or (form == "TIFF" and image.info.get("compression") == "jpeg"):
        raise InputError(f"{path}: found JPEG, which changes label ids; expected a lossless picture (PNG)")
    if form == "WEBP" and not _lossless(path.read_bytes()):
        raise InputError(f"{path}: found lossy WEBP, which changes label ids; expected a lossless picture (PNG)")
    if form == "PNG" and image.tile:
        raw = image.tile[0].args
        bits = 16 if raw.endswith(";16B") else {"1": 1, "L;2": 2, "L;4": 4}.get(raw, 8)
    if form == "TIFF" and image.mode != "P":
        bits = max(image.tag_v2.get(258, (1,)))
    if bits != 8:
        raise InputError(f"{path}: found {bits} bits a channel, which programs scale; expected 8-bit label ids")


def _lossless(webp: bytes) -> bool:
    """Whether the first chunk of pixels is a lossless one; there may be others before it, such as a colour profile."""
    at = 12
    while (kind := webp[at : at + 4]) not in (b"VP8L", b"VP8 ", b""):
        length = int.from_bytes(webp[at + 4 : at + 8], "little")
        at += 24 if kind == b"ANMF" else 8 + length + length % 2  # a frame holds chunks
    return kind == b"VP8L"


def _indexed(image: Image.Image) -> np.ndarray:
    """Of a palette picture the indices H×W, if that is what their colours show; else the colours H×W×3."""
    indices = np.asarray(image)
    palette = np.zeros((256, 3), np.uint8)
    shown = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    palette[: len(shown)] = shown
    used = np.unique(indices)
    grey, mapped = used[:, None], colour_map(256)[used]
    if ((palette[used] == grey).all(1) | (palette[used] == mapped).all(1)).all():
        return indices
    return palette[indices]
