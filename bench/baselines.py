"""Sampling throughput of the three GAN baselines at the sizes of ADE20K."""

from collections.abc import Iterator

import torch

from bench.measure import Line, alternate, spread
from bench.sizes import Sizes
from piti.baselines.contract import Baseline
from piti.baselines.oasis import OASIS
from piti.baselines.pix2pixhd import Pix2PixHD
from piti.baselines.spade import SPADE
from piti.conditions.semantics import one_hot


@torch.inference_mode()
def baselines(sizes: Sizes, device: torch.device, repeat: int) -> Iterator[Line]:
    """Images/s, one image at a time, random weights."""
    for name, kind in {"pix2pixhd": Pix2PixHD, "spade": SPADE, "oasis": OASIS}.items():
        baseline: Baseline = kind(getattr(sizes, name)).eval().to(device)
        config, draw = baseline.config, torch.Generator().manual_seed(0)
        labels = torch.randint(config.condition_channels, (1, config.resolution, config.resolution), generator=draw)
        semantics = one_hot(labels.to(device), config.condition_channels)
        drawn = {key: value.to(device) for key, value in baseline.draw(draw, 1).items()}

        def generate(baseline=baseline, semantics=semantics, drawn=drawn) -> torch.Tensor:
            return baseline.generate(semantics, drawn)

        generate()
        times = alternate([generate], device, repeat)
        yield Line(f"sample_{name}", "images/s", 1 / min(times[0]), spread=spread(times))
