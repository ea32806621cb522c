"""L0 gradient minimisation (Xu et al., SIGGRAPH Asia 2011): flattens texture, keeps strong edges.

OpenCV's `ximgproc.l0Smooth` is not the same filter: its differences stop at the border while its Fourier solve wraps
around, and pictures drift by tens of grey levels.
"""

import numpy as np
from scipy.fft import irfft2, rfft2


def l0_smooth(image: np.ndarray, lam: float, kappa: float = 2.0, beta_max: float = 1e5) -> np.ndarray:
    """Minimise |S - image|^2 + lam * (number of pixels with a non-zero gradient), by alternating half-quadratic steps.

    Gradients (h, v) are first differences that wrap around; beta, the weight that ties them to S, grows from 2 * lam by
    `kappa` while it is below `beta_max`.

    image: H×W×C float, [0, 1] (`lam` is relative to that range). Returns H×W×C float32 on the same scale.
    """
    height, width, _ = image.shape
    s = np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)  # C×H×W
    spectrum = rfft2(s)
    cos_v, cos_h = np.cos(2 * np.pi * np.fft.fftfreq(height)), np.cos(2 * np.pi * np.fft.rfftfreq(width))
    laplacian = (4 - 2 * cos_v[:, None] - 2 * cos_h).astype(np.float32)  # |F(d/dx)|^2 + |F(d/dy)|^2

    beta = 2 * lam
    while beta < beta_max:
        h = np.roll(s, -1, axis=2) - s
        v = np.roll(s, -1, axis=1) - s
        keep = (h * h + v * v).sum(axis=0) >= lam / beta  # H×W: one decision for all channels
        h *= keep
        v *= keep
        divergence = np.roll(h, 1, axis=2) - h + np.roll(v, 1, axis=1) - v
        target = rfft2(divergence)
        target *= beta
        target += spectrum
        target *= 1 / (1 + beta * laplacian)
        target[:, 0, 0] = spectrum[:, 0, 0]  # a divergence has mean 0; its float32 rounding times beta has not
        s = irfft2(target, s=(height, width))
        beta *= kappa
    return s.transpose(1, 2, 0)
