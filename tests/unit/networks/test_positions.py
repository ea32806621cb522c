"""Positions of the condition encoder that start as sinusoids."""

import torch

from piti.cards import EncoderConfig
from piti.networks.condition_encoder import ConditionEncoder, sinusoids


def test_every_place_has_its_own_embedding_of_unit_size():
    places = sinusoids(8, 64)
    assert places.square().mean(dim=1).allclose(torch.tensor(0.5))
    near = torch.cdist(places, places) + 100 * torch.eye(64)
    assert near.min() > 0.5


def test_shifts_are_rotations():
    """The likeness of two places depends on how far apart they are alone, as attention to what is near needs it."""
    places = sinusoids(8, 64).reshape(8, 8, 64)
    likeness = torch.einsum("yxc,c->yx", places, places[2, 3])
    moved = torch.einsum("yxc,c->yx", places, places[4, 5])
    assert likeness[:6, :6].allclose(moved[2:, 2:], atol=1e-5)


def test_only_the_start_of_the_places_differs():
    torch.manual_seed(0)
    plain = ConditionEncoder(EncoderConfig(resolution=32, strides=2, width=64, layers=1, heads=4)).state_dict()
    torch.manual_seed(0)
    config = EncoderConfig(resolution=32, strides=2, width=64, layers=1, heads=4, positions="sinusoids")
    started = ConditionEncoder(config).state_dict()
    assert [name for name in plain if not plain[name].equal(started[name])] == ["positional_embedding"]
    assert plain["positional_embedding"][:, 0].equal(started["positional_embedding"][:, 0])
