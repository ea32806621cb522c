"""Every test of a training sees the same few scenes."""

import pytest
import torch

from tests.unit.train import tiny


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    """Shards of twelve scenes, see `tiny.data`."""
    return tiny.data(tmp_path_factory.mktemp("shards"), 12)


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny networks on one thread: faster, and the sums' order is fixed."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
