"""The three GAN baselines of the paper's tables."""

from piti.baselines.contract import Baseline
from piti.baselines.oasis import OASIS
from piti.baselines.pix2pixhd import Pix2PixHD
from piti.baselines.spade import SPADE
from piti.cards import GANConfig

BASELINES = {"pix2pixhd": Pix2PixHD, "spade": SPADE, "oasis": OASIS}


def build(config: GANConfig) -> Baseline:
    """The baseline that a card is about."""
    name = next(name for name in BASELINES if getattr(config, name))
    return BASELINES[name](getattr(config, name))
