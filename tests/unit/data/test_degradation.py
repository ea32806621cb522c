"""The degradation chain: its primitives, and its statistics over 2,000 draws."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from piti.data import degradation
from piti.data.degradation import add_noise, convolve, degrade, draw_blur_kernel, gaussian_kernel, jpeg, shift_kernel
from piti.store.files import InputError

DRAWS = 2000


def picture(resolution: int) -> np.ndarray:
    """Blocks of random colour, uint8."""
    blocks = np.random.default_rng(0).integers(40, 216, (8, 8, 3), dtype=np.uint8)
    return blocks.repeat(resolution // 8, axis=0).repeat(resolution // 8, axis=1)


@pytest.mark.parametrize(("resolution", "factor"), [(64, 4), (128, 4), (48, 4), (64, 2), (48, 3), (16, 4)])
def test_shape_type_and_determinism(resolution, factor):
    image = picture(resolution)
    first, again, other = (degrade(image, factor, np.random.default_rng([seed, 7])) for seed in (1, 1, 2))
    assert first.shape == (resolution // factor, resolution // factor, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_oblong_pictures():
    assert degrade(picture(64)[:, :48], 4, np.random.default_rng(0)).shape == (16, 12, 3)


def test_an_indivisible_side_is_refused():
    with pytest.raises(InputError, match="62×64 px, expected sides divisible by 4"):
        degrade(picture(64)[:62], 4, np.random.default_rng(0))


def test_chain_over_many_draws(monkeypatch):
    """Every operation at its rate and within its range, `downsample` before `resize`, and no dark pictures."""
    log = []

    def spy(name, value=lambda *arguments: None):
        inner = getattr(degradation, name)

        def call(*arguments):
            log.append((name, value(*arguments)))
            return inner(*arguments)

        monkeypatch.setattr(degradation, name, call)

    for name in ("halve", "_downsample", "draw_blur_kernel", "add_noise"):
        spy(name)
    spy("l0_smooth", lambda image, lam: lam)
    spy("jpeg", lambda image, quality: quality)
    spy("shift_kernel", lambda kernel, factor: factor)
    image = picture(64)
    means = np.array([degrade(image, 4, np.random.default_rng([0, i])).mean() for i in range(DRAWS)])

    def values(name):
        return np.array([value for key, value in log if key == name], dtype=float)

    def share(name):
        return len(values(name)) / DRAWS

    assert share("_downsample") == share("add_noise") == 1
    assert share("draw_blur_kernel") == pytest.approx(0.8, abs=0.04)
    assert share("halve") == pytest.approx(0.125, abs=0.03)
    assert share("shift_kernel") == pytest.approx(0.2, abs=0.04)
    assert share("jpeg") == pytest.approx(0.5, abs=0.05)
    assert share("l0_smooth") == pytest.approx(0.2, abs=0.04)
    assert set(values("shift_kernel")) == {2, 4}
    assert set(values("jpeg")) == set(range(80, 96))
    assert 1.2e-3 <= values("l0_smooth").min() < 1.3e-3 < 3.9e-3 < values("l0_smooth").max() <= 4e-3
    assert (means < 10).mean() < 0.01  # 0.217 in the release
    np.testing.assert_allclose(means, image.mean(), atol=6)  # indeed no draw changes the brightness


def test_the_order_of_operations_is_random(monkeypatch):
    """Noise falls on the full picture, between the two reductions, or on the small one."""
    sides = []

    def record(image, rng):
        sides.append(image.shape[0])
        return image

    monkeypatch.setattr(degradation, "add_noise", record)
    for i in range(600):
        degrade(picture(64), 4, np.random.default_rng(i))
    sides = np.array(sides)
    assert (sides >= 32).mean() == pytest.approx(1 / 3, abs=0.15)
    assert (sides == 16).mean() == pytest.approx(1 / 3, abs=0.15)
    assert len(set(sides)) > 10


def test_the_picture_stays_in_its_place():
    """A blob in the middle stays in the middle (the release's even kernels move it)."""
    x = np.arange(64) - 31.5
    blob = np.exp(-(x**2 + x[:, None] ** 2) / 200)
    image = np.rint(20 + 200 * blob[..., None].repeat(3, axis=2)).astype(np.uint8)
    for i in range(300):
        low = degrade(image, 4, np.random.default_rng(i)).mean(axis=2)
        low = low - np.median(low[[0, -1]])
        centre = [(low.sum(axis=axis) * np.arange(16)).sum() / low.sum() for axis in (0, 1)]
        np.testing.assert_allclose(centre, 7.5, atol=0.12)


# -- blur ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [2, 4])
def test_blur_widths(factor):
    """Sums of 1, odd sizes within 5..14, variances within the stated bounds and spread over them."""
    kernels = [draw_blur_kernel(factor, np.random.default_rng(i)) for i in range(DRAWS)]
    sizes = np.array([len(kernel) for kernel in kernels])
    assert set(sizes) == {5, 7, 9, 11, 13}
    variances = []
    for kernel in kernels:
        assert kernel.sum() == pytest.approx(1)
        x = np.arange(len(kernel)) - len(kernel) // 2
        xx, yy, xy = (kernel * x**2).sum(), (kernel * x[:, None] ** 2).sum(), (kernel * x * x[:, None]).sum()
        variances.append(np.linalg.eigvalsh([[xx, xy], [xy, yy]]))
    variances = np.array(variances)
    bound = (4 + factor) / 4
    assert -1e-9 < variances.min() < 0.01 * bound  # almost no blur occurs
    assert 0.9 * bound < variances.max() < 1.02 * bound
    isotropic = np.ptp(variances, axis=1) < 1e-9
    assert variances[isotropic].max() < ((2 + 0.2 * factor) / 4) ** 2
    assert variances[isotropic & (sizes == 7)].max() > 0.7 * ((2 + 0.2 * factor) / 4) ** 2


def test_narrow_kernels_stay_kernels():
    np.testing.assert_allclose(gaussian_kernel(6, 0.3, 1e-9, 1e-9)[2:4, 2:4], 0.25)
    np.testing.assert_allclose(gaussian_kernel(5, 0.3, 1e-9, 1e-9)[2, 2], 1)


def test_convolution_is_scipys():
    rng = np.random.default_rng(0)
    for shape, size in (((24, 30, 3), 5), ((9, 8, 3), 25)):
        image, kernel = rng.random(shape, dtype=np.float32), rng.random((size, size)) / size**2
        want = ndimage.convolve(image, kernel[..., None], mode="mirror")
        np.testing.assert_allclose(convolve(image, kernel), want, atol=1e-6)


@pytest.mark.parametrize("factor", [2, 4])
def test_shifted_kernel_samples_the_middle_of_a_block(factor):
    ramp = np.arange(64, dtype=np.float32)[None, :, None].repeat(64, axis=0).repeat(3, axis=2)
    low = convolve(ramp, shift_kernel(gaussian_kernel(25, 0.0, 1.0, 1.0), factor))[::factor, ::factor]
    np.testing.assert_allclose(np.diff(low[0, 4:-4, 0]), factor, rtol=1e-4)
    np.testing.assert_allclose(low[0, 4:-4, 0], ramp[0, ::factor, 0][4:-4] + (factor - 1) / 2, rtol=1e-4)


# -- noise and compression -------------------------------------------------------------------------------------------


def test_noise_levels_and_kinds():
    """Told apart by the covariance of the channels; levels 1 and 2 of 255, evenly likely."""
    grey = np.full((32, 32, 3), 0.5, np.float32)
    kinds = []
    for i in range(DRAWS):
        noise = (add_noise(grey, np.random.default_rng(i)) - grey).reshape(-1, 3) * 255
        assert np.abs(noise.mean(axis=0)).max() < 0.4
        covariance = np.cov(noise.T)
        level = round(np.sqrt(covariance[0, 0]))
        if np.abs(covariance - level**2).max() < 0.25 * level**2:
            kinds.append(("grey", level))
        elif np.abs(covariance - level**2 * np.eye(3)).max() < 0.25 * level**2:
            kinds.append(("colour", level))
        else:
            kinds.append(("correlated", 2))
            assert np.linalg.eigvalsh(covariance).max() < 2**2 * 2  # |.| of each entry may exceed the largest d, 1
    for kind, level, share in (
        ("grey", 1, 0.2),
        ("grey", 2, 0.2),
        ("colour", 1, 0.2),
        ("colour", 2, 0.2),
        ("correlated", 2, 0.2),
    ):
        assert kinds.count((kind, level)) / DRAWS == pytest.approx(share, abs=0.04)


def test_jpeg_loses_more_at_lower_quality_and_keeps_the_colours_apart():
    image = (picture(64) / 255).astype(np.float32)
    image = cv2.GaussianBlur(image, (5, 5), 1)
    errors = [np.abs(jpeg(image, quality) - image).mean() for quality in (80, 95)]
    assert 0.03 > errors[0] > errors[1] > 0
    red = np.zeros((16, 16, 3), np.float32)
    red[..., 0] = 1
    np.testing.assert_allclose(jpeg(red, 95), red, atol=0.02)
