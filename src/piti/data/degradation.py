"""The small resolution of the upsampler's training pairs: the released BSR-light chain with its L0 filter (facts 1.6).

Two things are put right. The release hands its L0 filter pictures in [0, 1] where it expects 0..255, which blackens a
fifth of its training inputs; here the filter sees the scale it is meant for. Its even blur kernels shift the picture by
half a pixel, and vanish to 0 when narrow; here an even size drawn becomes the odd one below.
"""

import cv2
import numpy as np
from scipy import ndimage

from piti.data.l0_smooth import l0_smooth
from piti.store.files import InputError

OPERATIONS = ("blur", "downsample", "resize", "noise", "jpeg", "l0")


def degrade(image: np.ndarray, factor: int, rng: np.random.Generator) -> np.ndarray:
    """Reduce a photograph by `factor` in the way a poor camera, a network or a base model might.

    image: H×W×3 uint8 RGB, sides divisible by `factor`. Returns H/factor×W/factor×3 uint8. Everything random comes
    from `rng`. Raises InputError when a resolution is not divisible.
    """
    height, width, _ = image.shape
    if height % factor or width % factor:
        raise InputError(f"degradation: found an image of {height}×{width} px, expected sides divisible by {factor}")
    low_size = (width // factor, height // factor)

    x = image.astype(np.float32) / 255
    if factor == 4 and rng.random() < 0.25:
        x = _resize(x, (width // 2, height // 2), rng) if rng.random() < 0.5 else halve(x).clip(0, 1)
        factor = 2

    order = list(rng.permutation(OPERATIONS))
    first, second = sorted((order.index("downsample"), order.index("resize")))
    order[first], order[second] = "downsample", "resize"
    for operation in order:
        match operation:
            case "blur" if rng.random() < 0.8:
                x = convolve(x, draw_blur_kernel(factor, rng))
            case "downsample":
                x = _downsample(x, factor, rng)
            case "resize":
                x = _resize(x, low_size, rng)
            case "noise":
                x = add_noise(x, rng)
            case "jpeg" if rng.random() < 0.5:
                x = jpeg(x, int(rng.integers(80, 96)))
            case "l0" if rng.random() < 0.2:
                x = l0_smooth(x, rng.uniform(1.2e-3, 4.0e-3)).clip(0, 1)
    return to_uint8(x)


# -- resolution ------------------------------------------------------------------------------------------------------


def _resize(image: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Resize to (width, height) with a random interpolation."""
    interpolation = int(rng.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA)))
    return cv2.resize(image, size, interpolation=interpolation).clip(0, 1)


def _downsample(image: np.ndarray, factor: int, rng: np.random.Generator) -> np.ndarray:
    """Resize by a random factor up to 2 * factor; or blur with a wide Gaussian and keep every factor-th pixel."""
    if rng.random() < 0.8:
        ratio = rng.uniform(1, 2 * factor)
        height, width, _ = image.shape
        return _resize(image, (int(width / ratio), int(height / ratio)), rng)
    variance = rng.uniform(0.1, 0.6 * factor) ** 2
    kernel = shift_kernel(gaussian_kernel(25, 0.0, variance, variance), factor)
    return convolve(image, kernel)[::factor, ::factor].clip(0, 1)


def halve(image: np.ndarray) -> np.ndarray:
    """MATLAB's antialiased bicubic reduction by 2: eight taps, borders mirrored with the edge pixel repeated."""
    t = np.abs(np.arange(8) - 3.5) / 2
    taps = np.where(t < 1, 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2)  # Keys' kernel, a = -1/2
    taps /= taps.sum()
    return cv2.sepFilter2D(image, -1, taps, taps, anchor=(3, 3), borderType=cv2.BORDER_REFLECT)[::2, ::2]


# -- blur ------------------------------------------------------------------------------------------------------------


def draw_blur_kernel(factor: int, rng: np.random.Generator) -> np.ndarray:
    """An anisotropic or an isotropic Gaussian, evenly likely; a quarter of BSRGAN's widths."""
    if rng.random() < 0.5:
        size, theta = rng.integers(5, 15), rng.uniform(0, np.pi)
        variance_1, variance_2 = (4 + factor) / 4 * (1 - rng.random(2))  # 1 - [0, 1): never 0
    else:
        size, theta = rng.integers(5, 8), 0.0
        variance_1 = variance_2 = ((2 + 0.2 * factor) / 4 * (1 - rng.random())) ** 2
    return gaussian_kernel((size - 1) | 1, theta, variance_1, variance_2)


def gaussian_kernel(size: int, theta: float, variance_1: float, variance_2: float) -> np.ndarray:
    """size×size Gaussian of sum 1 about the grid's centre; `variance_1` lies along (cos theta, sin theta) in (x, y)."""
    x = np.arange(size) - (size - 1) / 2
    y = x[:, None]
    along, across = x * np.cos(theta) + y * np.sin(theta), y * np.cos(theta) - x * np.sin(theta)
    exponent = -0.5 * (along**2 / variance_1 + across**2 / variance_2)
    kernel = np.exp(exponent - exponent.max())  # so that a narrow kernel of even size keeps its four central values
    return kernel / kernel.sum()


def shift_kernel(kernel: np.ndarray, factor: int) -> np.ndarray:
    """Move the kernel by (factor - 1) / 2 px, so that every factor-th pixel samples the centre of its block."""
    shifted = ndimage.shift(kernel, -(factor - 1) / 2, order=1, mode="nearest")
    return shifted / shifted.sum()


def convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolution of each channel with an odd-sized kernel; borders mirrored without repeating the edge pixel."""
    return cv2.filter2D(image, -1, cv2.flip(kernel, -1), borderType=cv2.BORDER_REFLECT_101)


# -- noise and compression -------------------------------------------------------------------------------------------


def add_noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of level 1 or 2 (of 255): in colour 40 %, grey 40 %, correlated between channels 20 %."""
    height, width, channels = image.shape
    level = int(rng.integers(1, 3)) / 255
    kind = rng.random()
    if kind < 0.4:
        noise = level * rng.standard_normal((height, width, 1), dtype=np.float32)
    else:
        noise = rng.standard_normal((height, width, channels), dtype=np.float32)
        noise = level * noise if kind > 0.6 else noise @ _correlation_root(rng).astype(np.float32)
    return (image + noise).clip(0, 1)


def _correlation_root(rng: np.random.Generator) -> np.ndarray:
    """A root R of the random covariance R^T R = |(2/255)^2 U^T diag(d) U|, U a random orthogonal 3×3 matrix."""
    u, _, _ = np.linalg.svd(rng.random((3, 3)))
    covariance = np.abs((2 / 255) ** 2 * u.T @ np.diag(rng.random(3)) @ u)
    values, vectors = np.linalg.eigh(covariance)
    return np.sqrt(values.clip(0))[:, None] * vectors.T


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """The picture after JPEG compression."""
    _, data = cv2.imencode(".jpg", to_uint8(image)[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, quality))
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255


def to_uint8(image: np.ndarray) -> np.ndarray:
    """[0, 1] -> 0..255, clipped and rounded (half to even)."""
    return np.rint(image.clip(0, 1) * 255).astype(np.uint8)
