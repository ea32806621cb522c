"""Conditions, and models that see them."""

import pytest
from safetensors.torch import save_file
from tests.unit.train import tiny

from piti.networks.piti import PITI

COUNT = 7
ENCODER = tiny.ENCODER.with_channels(3)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return tiny.data(tmp_path_factory.mktemp("shards"), COUNT)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Files of a base model and an upsampler that see their condition."""
    folder = tmp_path_factory.mktemp("weights")
    for name, unet in {"base": tiny.UNET, "upsampler": tiny.UPSAMPLER}.items():
        save_file(tiny.stirred(PITI(unet, ENCODER)), folder / name)
    return folder
