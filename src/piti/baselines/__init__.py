"""The networks and losses of the GAN baselines, a file each; what they are declared by: `piti.cards.baselines`."""

from pkgutil import resolve_name

from piti.baselines.contract import Baseline
from piti.cards.baselines import BaselineConfig


def build(config: BaselineConfig) -> Baseline:
    """The baseline that a card is about."""
    return resolve_name(config.network)(config)
