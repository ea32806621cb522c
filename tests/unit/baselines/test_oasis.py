"""OASIS's losses: what balancing and LabelMix mean."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from piti.baselines.oasis import OASIS, class_weights, labelmix_mask, segmentation_loss
from piti.cards.baselines import OASISConfig
from piti.conditions.semantics import one_hot

CLASSES = 5
LABELS = st.lists(st.integers(0, CLASSES - 1), min_size=12, max_size=12).map(lambda v: torch.tensor(v).view(1, 3, 4))


def counts(semantics):
    return semantics.sum(dim=(0, 2, 3))


@given(LABELS)
def test_present_classes_weigh_the_same_and_void_nothing(labels):
    weights = class_weights(counts(one_hot(labels, CLASSES)))
    present = labels[labels > 0].unique()
    sums = torch.stack([weights[k] * (labels == k).sum() for k in range(CLASSES)])
    assert weights[0] == 0
    if len(present):
        torch.testing.assert_close(sums[present], torch.full((len(present),), labels.numel() / len(present)))
    assert sums.isfinite().all()


@given(LABELS, st.lists(st.integers(0, 1), min_size=CLASSES, max_size=CLASSES))
def test_labelmix_overwrites_in_place_as_the_release_does(labels, coins):
    expected, remaining = labels.clone(), list(coins)
    for k in labels.unique():  # ascending; later rounds see the values that earlier ones wrote
        expected[expected == k] = remaining.pop(0)
    semantics = one_hot(labels, CLASSES)
    mask = labelmix_mask(semantics, torch.tensor(coins), counts(semantics))
    assert torch.equal(mask[:, 0].long(), expected)


def test_uniform_logits_cost_the_logarithm_of_the_classes():
    labels = torch.tensor([[[1, 1], [2, 3]]])
    semantics = one_hot(labels, CLASSES)
    loss = segmentation_loss(torch.zeros(1, CLASSES + 1, 2, 2), semantics, class_weights(counts(semantics)))
    torch.testing.assert_close(loss, torch.tensor(6.0).log())


def test_void_pixels_have_no_gradient():
    labels = torch.tensor([[[0, 1], [2, 0]]])
    semantics = one_hot(labels, CLASSES)
    logits = torch.randn(1, CLASSES + 1, 2, 2, generator=torch.Generator()).requires_grad_()
    segmentation_loss(logits, semantics, class_weights(counts(semantics))).backward()
    assert torch.equal(logits.grad.abs().sum(1) > 0, labels > 0)


def test_five_blocks_serve_a_side_of_32():
    config = OASISConfig(CLASSES, 32, channels_G=2, nhidden=4, channels_D=4, z_dim=4, num_res_blocks=5)
    model, draws = OASIS(config), torch.Generator().manual_seed(1)
    model.initialise(draws)
    semantics = one_hot(torch.randint(CLASSES, (2, 32, 32), generator=draws), CLASSES)
    fake = model.generate(semantics, model.draw(draws, 2))
    logits = model.discriminator(fake)
    assert fake.shape == (2, 3, 32, 32)
    assert logits.shape == (2, CLASSES + 1, 32, 32)
    logits.square().mean().backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]
    with pytest.raises(ValueError, match="resolution: found 32, expected a multiple of 64"):
        OASISConfig(CLASSES, 32)


def test_weights_of_rare_classes_are_held():
    config = OASISConfig(CLASSES, 64, channels_G=2, nhidden=4, channels_D=4, z_dim=4, max_class_weight=8.0)
    counts = torch.tensor([0.0, 1.0, 4095.0, *[0.0] * (CLASSES - 3)])
    assert class_weights(counts).max() == 2048
    assert OASIS(config).class_weights({"class_counts": counts}).max() == 8
    assert OASIS(replace(config, max_class_weight=0.0)).class_weights({"class_counts": counts}).max() == 2048
