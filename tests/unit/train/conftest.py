"""What the tests of training share."""

import pytest
import torch
from tests.unit.train import tiny
from tests.unit.train.children import Children


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    """Shards of twelve scenes, see `tiny.data`."""
    return tiny.data(tmp_path_factory.mktemp("shards"), 12)


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """Tiny networks on one thread: faster, and sums have one order in all processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def children():
    """Processes that start at once, see `Children`."""
    return Children()
