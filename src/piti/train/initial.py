"""The networks that a training starts with: random by the card's seed, then what its files of weights have."""

from pathlib import Path

import torch
from torch import nn

from piti.baselines import build as build_baseline
from piti.baselines.contract import Baseline
from piti.cards import TrainCard
from piti.conditions import CONDITIONS
from piti.networks.estimator import build as build_estimator
from piti.networks.glide import GLIDE
from piti.networks.perceptual import FIVE_LEVELS, VGGFeatures
from piti.networks.piti import PITI
from piti.networks.weights import load, read
from piti.registry import unknown_key
from piti.seeds import generator, key_seed
from piti.store.files import InputError
from piti.train.losses import PERCEPTUAL

NETWORKS = {"vgg19_torchvision": ("vgg19", "torchvision"), "vgg16_keras_h5": ("vgg16", "caffe")}


def initial_model(card: TrainCard, init: Path | None) -> nn.Module:
    """A prior, or PITI; `init` is a whole PITI model, or a prior, of which the decoder is taken."""
    torch.manual_seed(key_seed(card.seed, "init", card.training.kind))
    if card.text:
        return GLIDE(card.unet, card.text)
    model = PITI(card.unet, card.encoder.with_channels(CONDITIONS[card.condition].channels))
    if init:
        state_dict = read(init)
        whole = any(name.startswith("encoder.") for name in state_dict)
        load(model if whole else model.decoder, state_dict, str(init))
    return model


def initial_baseline(card: TrainCard, init: Path | None) -> Baseline:
    """A baseline; `init` is another's generator."""
    baseline = build_baseline(card.baseline)
    baseline.initialise(generator(card.seed, "init", card.training.kind))
    if init:
        load(baseline.generator, read(init), str(init))
    return baseline


def initial_estimator(card: TrainCard, init: Path | None) -> nn.Module:
    """An estimator; `init` is an ImageNet classifier, which becomes its trunk."""
    torch.manual_seed(key_seed(card.seed, "init", card.training.kind))
    network = build_estimator(card.estimator)
    if init:
        load(network.trunk, read(init), str(init))
    return network


def vgg(card: TrainCard, weights: Path | None) -> VGGFeatures | None:
    """The features that the card's perceptual loss compares, if it has one.

    A baseline's is of five layers, and torchvision's VGG sees its images as they are (facts 3.1).
    """
    if not weights:
        return None
    if card.perceptual_format not in NETWORKS:
        raise InputError(unknown_key(card.perceptual_format, NETWORKS, "networks.perceptual: format of weights"))
    arch, convention = NETWORKS[card.perceptual_format]
    if card.baseline:
        return VGGFeatures(read(weights), FIVE_LEVELS, arch, "raw" if arch == "vgg19" else convention)
    layers, _ = PERCEPTUAL[card.training.perceptual]
    return VGGFeatures(read(weights), layers, arch, convention)
