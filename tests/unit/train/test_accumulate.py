"""The accumulator: parts of any size add up to the gradient of the whole batch."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from piti.devices import Place
from piti.train.accumulate import Accumulator

SIZE = 7


def regression():
    """x and y of a least-squares problem, and a weight w."""
    draw = torch.Generator().manual_seed(0)
    x, y, w = (torch.randn(*shape, dtype=torch.float64, generator=draw) for shape in ((SIZE, 3), (SIZE,), (3,)))
    return x, y, w.requires_grad_()


def step(images, micro_batch, **options):
    """The gradient, by one step of SGD, and the terms."""
    x, y, w = regression()
    other = torch.ones(3, dtype=torch.float64, requires_grad=True)  # of no optimizer

    def loss(part):
        error = (part["x"] @ w - part["y"]).square()
        return error.sum() / SIZE + (part["x"] @ other).sum(), {"error": error.sum() / SIZE}

    before, accumulator = w.detach().clone(), Accumulator(Place(torch.device("cpu")), micro_batch, "fp32")
    parts = accumulator.parts({"x": x[images], "y": y[images]})
    terms = accumulator.step(torch.optim.SGD([w], lr=1.0), parts, loss, **options)
    assert w.grad is None and other.grad is None
    return before - w.detach(), terms


def closed_form():
    x, y, w = (tensor.detach() for tensor in regression())
    return 2 * x.T @ (x @ w - y) / SIZE, (x @ w - y).square().mean()


@pytest.mark.parametrize("micro_batch", range(1, SIZE + 2))
def test_micro_batches(micro_batch):
    gradient, terms = step(slice(None), micro_batch, norm=True)
    wanted, error = closed_form()
    torch.testing.assert_close(gradient, wanted)
    torch.testing.assert_close(terms, {"error": error, "gradient": torch.linalg.vector_norm(wanted)})


def test_micro_batches_are_even():
    """No single image is left over for the last, whose batch statistics would be its own."""
    accumulator = Accumulator(Place(torch.device("cpu")), 3, "fp32")
    parts = accumulator.parts({"x": torch.arange(SIZE), "y": torch.arange(SIZE)})
    assert [part["x"].tolist() for part in parts] == [[0, 1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize("first", range(1, SIZE))
def test_what_two_processes_add_up(first):
    """Each sees some of the images: their gradients' sum is the whole batch's (test_processes has real ones)."""
    (one, a), (two, b) = step(slice(first), 2), step(slice(first, None), 2)
    wanted, error = closed_form()
    torch.testing.assert_close(one + two, wanted)
    torch.testing.assert_close(a["error"] + b["error"], error)


class Casts(TorchDispatchMode):
    """How many tensors of a shape were made bf16."""

    def __init__(self, shape):
        super().__init__()
        self.shape, self.number = shape, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten._to_copy.default and (kwargs or {}).get("dtype") == torch.bfloat16:
            self.number += args[0].shape == self.shape
        return function(*args, **(kwargs or {}))


def test_bf16_casts_a_weight_once_a_step_and_anew_after_it():
    """However many parts: on a fast GPU the host takes as long to start these kernels as they take."""
    layer, x = torch.nn.Linear(5, 3), torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    optimizer, accumulator = torch.optim.SGD(layer.parameters(), lr=1.0), Accumulator(Place(x.device), 2, "bf16")
    seen = []

    def loss(part):
        seen.append(layer(part["x"]).detach())
        return layer(part["x"]).float().square().sum(), {}

    for _ in range(2):
        with Casts(layer.weight.shape) as casts:
            accumulator.step(optimizer, accumulator.parts({"x": x}), loss)
        assert casts.number == 1
    assert not torch.equal(seen[0], seen[3])  # with the weight that the step has changed
