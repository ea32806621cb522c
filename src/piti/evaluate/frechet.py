"""Fréchet distance between two sets of features (FID when the features are Inception's).

    d² = |μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^(1/2))

The trace of the root is taken from symmetric problems only, so it is real, needs no regularisation and holds for
singular covariances, where the general matrix root of the usual implementations turns complex or fails (facts 6).
"""

import numpy as np
from scipy import linalg


def distance(real: np.ndarray, fake: np.ndarray) -> float:
    """Fréchet distance of two feature sets, N×d and M×d, in float64 with unbiased covariances.

    With centred features A = (X - μ₁)/√(N-1) and B = (Y - μ₂)/√(M-1), the covariances are Σ₁ = AᵀA and Σ₂ = BᵀB.
    Σ₁ Σ₂ = Aᵀ(A Bᵀ B) has the non-zero eigenvalues of (A Bᵀ B) Aᵀ = (A Bᵀ)(A Bᵀ)ᵀ, the squared singular values of
    A Bᵀ. Hence tr (Σ₁ Σ₂)^(1/2) is the nuclear norm of the N×M matrix A Bᵀ: exact, and cheaper than anything of size
    d×d as long as neither set has more than d members.
    """
    count, width = max(len(real), len(fake)), real.shape[1]
    if count > width:
        return distance_from_moments(*moments(real), *moments(fake))
    mean1, a = _centred(real)
    mean2, b = _centred(fake)
    return _assemble(mean1 - mean2, np.sum(a * a), np.sum(b * b), linalg.svdvals(a @ b.T).sum())


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d) and unbiased covariance (d×d) of N×d features, in float64."""
    mean, a = _centred(features)
    return mean, a.T @ a


def distance_from_moments(mean1: np.ndarray, cov1: np.ndarray, mean2: np.ndarray, cov2: np.ndarray) -> float:
    """Fréchet distance of two Gaussians given by mean (d) and covariance (d×d, positive semi-definite)."""
    return _assemble(mean1 - mean2, np.trace(cov1), np.trace(cov2), trace_of_root(cov1, cov2))


def trace_of_root(cov1: np.ndarray, cov2: np.ndarray) -> float:
    """tr (Σ₁ Σ₂)^(1/2) = Σ √λ(Σ₁^(1/2) Σ₂ Σ₁^(1/2)), for symmetric positive semi-definite d×d matrices."""
    values, vectors = linalg.eigh(cov1)
    root = vectors * np.sqrt(values.clip(min=0))  # Σ₁ = root rootᵀ; any such factor serves
    return np.sqrt(linalg.eigvalsh(root.T @ cov2 @ root).clip(min=0)).sum()


def _centred(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and the centred features over √(N-1), whose Gram matrix is the unbiased covariance."""
    features = np.asarray(features, np.float64)
    mean = features.mean(axis=0)
    return mean, (features - mean) / np.sqrt(len(features) - 1)


def _assemble(shift: np.ndarray, trace1: float, trace2: float, root: float) -> float:
    return max(float(shift @ shift + trace1 + trace2 - 2 * root), 0.0)  # of like sets, rounding would make it negative
