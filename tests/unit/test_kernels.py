"""Kernels of small pieces of work, against counts by hand."""

import pytest
import torch
import torch.nn.functional as F

from piti.count.kernels import Autocast, compiled, eager, traced, work


def kernels(run, *shapes, autocast: bool = False, grad: bool = False):
    """What `run` does with meta tensors of these shapes."""
    with torch.device("meta"), Autocast("meta", enabled=autocast):
        tensors = [torch.empty(shape, requires_grad=grad) for shape in shapes]
        with traced() as found:
            run(*tensors)
    return found


def counted(run, *shapes, **how):
    """The work of `run`, whose first tensor has an image a row."""
    first, *rest = shapes
    few, more = (kernels(run, (n, *first), *rest, **how) for n in (2, 4))
    return work(few, more, 2)


def test_a_product_is_what_the_hand_counts():
    found = counted(torch.matmul, (8,), (8, 16))
    assert found["matrix"] == [[2 * 8 * 16, 4 * (8 + 16), 4 * 8 * 16]]
    assert found["eager"] == found["compiled"] == [0, 0, 1]


def test_a_convolution_is_what_the_hand_counts():
    """3 channels to 5 by 3x3 kernels on 10x10 pixels, with a bias."""
    found = counted(lambda x, w, b: F.conv2d(x, w, b, padding=1), (3, 10, 10), (5, 3, 3, 3), (5,))
    assert found["matrix"] == [[2 * 3 * 5 * 9 * 100, 4 * (3 + 5) * 100, 4 * (5 * 3 * 9 + 5)]]


def test_backward_is_twice_forward_and_three_kernels():
    def step(x, w, b):
        F.conv2d(x, w, b).backward(torch.empty(len(x), 5, 10, 10))

    forward, backward = kernels(step, (2, 3, 10, 10), (5, 3, 1, 1), (5,), grad=True)[:2]
    assert backward.flop == 2 * forward.flop
    assert backward.launches == 3
    assert backward.again == 2 * 4 * 2 * 5 * 100  # each gradient reads the output's


def test_what_lies_without_channels_last_is_copied():
    def conv(x, w):
        return F.conv2d(x, w.to(memory_format=torch.channels_last))

    *_, plain = kernels(F.conv2d, (2, 8, 10, 10), (8, 8, 3, 3))
    *_, copied = kernels(conv, (2, 8, 10, 10), (8, 8, 3, 3))
    assert (plain.again, copied.again) == (0, 2 * 4 * 2 * 8 * 100)


def test_views_are_no_kernels():
    assert kernels(lambda x: x.view(-1)[3:].unsqueeze(0).T.detach(), (4, 8)) == []


def test_fusing_leaves_what_comes_from_outside_and_goes_there():
    """Three kernels that read and write 10 numbers each are one."""
    found = kernels(lambda x: ((x + 1) * 2).relu(), (10,))
    assert eager(found) == (3 * 2 * 40, 3)
    assert compiled(found) == (2 * 40, 1)


def test_fusing_ends_at_matrix_kernels():
    """relu | product | + residual, relu: the first relu's result goes to the product and to the sum."""

    def block(x, w):
        h = x.exp().relu()
        return (h @ w + h).relu()

    found = kernels(block, (4, 4), (4, 4))
    assert compiled(found) == (64 + 64 + 64 + 64 + 64, 3)  # x, h written; the product and h read; the result written
    assert eager(found) == (64 * (4 + 3 + 2), 5)


def test_norms_read_their_input_twice():
    found = kernels(lambda x: F.group_norm(x, 2), (2, 8, 4, 4))
    size = 4 * 2 * 8 * 16
    assert eager(found)[0] == pytest.approx(3 * size, rel=0.1)  # and the statistics
    assert compiled(found)[0] == pytest.approx(3 * size, rel=0.1)


@pytest.mark.parametrize("grad", [False, True])
def test_attention_makes_no_matrix_of_scores(grad):
    def attend(x):
        out = F.scaled_dot_product_attention(x, x, x)
        if grad:
            out.backward(torch.empty_like(out))

    found = kernels(attend, (2, 4, 64, 8), grad=grad)
    product = 2 * 2 * 4 * 64 * 64 * 8
    assert sum(kernel.flop for kernel in found) == (6 if grad else 2) * product
    assert all(size < 4 * 2 * 4 * 64 * 64 for kernel in found for size in kernel.writes.values())


def test_autocast_casts_a_weight_once_and_sums_in_fp32():
    def twice(x, w):
        return F.group_norm(F.linear(F.linear(x, w), w), 1)

    found = kernels(twice, (2, 8), (8, 8), autocast=True, grad=True)
    products = [kernel for kernel in found if kernel.flop]
    assert [sum(kernel.reads.values()) for kernel in products] == [2 * (16 + 64)] * 2
    casts = [kernel for kernel in found if list(kernel.reads.values()) == [4 * 64] == [2 * sum(kernel.writes.values())]]
    assert len(casts) == 1
    with torch.device("meta"), Autocast("meta"):
        x, w = torch.empty(2, 8), torch.empty(8, 8)
        assert (x @ w).dtype == torch.bfloat16
        assert F.layer_norm(x @ w, (8,)).dtype == torch.float32
        with Autocast("meta", enabled=False):
            assert (x @ w).dtype == torch.float32


def test_the_casts_are_those_of_torchs_own_autocast():
    """The lists against the real thing, on the CPU, for what it shares with CUDA."""
    x, w = torch.randn(2, 8), torch.randn(8, 8)
    image, kernel = torch.randn(1, 4, 6, 6), torch.randn(4, 4, 3, 3)
    q = torch.randn(1, 2, 4, 8)
    calls = {
        "linear": lambda: F.linear(x, w),
        "matmul": lambda: torch.matmul(x, w),
        "@": lambda: x @ w,
        "conv2d": lambda: F.conv2d(image, kernel),
        "conv_transpose2d": lambda: F.conv_transpose2d(image, kernel),
        "attention": lambda: F.scaled_dot_product_attention(q, q, q),
        "mse": lambda: F.mse_loss(x.bfloat16(), x.bfloat16()),
        "relu": lambda: x.relu(),
        "interpolate": lambda: F.interpolate(image, scale_factor=2),
    }
    for name, call in calls.items():
        with torch.autocast("cpu", torch.bfloat16):
            real = call().dtype
        with Autocast("cpu"):
            assert call().dtype == real, name
