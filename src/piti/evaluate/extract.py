"""From pictures to feature vectors, by an extractor with its weights from a local file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from piti.data.resize import shrink
from piti.evaluate.extractors import EXTRACTORS
from piti.evaluate.feature_networks import Network
from piti.evaluate.features import Spec
from piti.progress import progress
from piti.store.files import InputError, file_digest


@dataclass(frozen=True)
class Loaded:
    """An extractor with its weights; call it with a batch."""

    spec: Spec
    network: Network
    resize: Callable[[torch.Tensor, int], torch.Tensor]
    resolution: int  # of the network's input, px
    device: torch.device

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """images: N×S×S×3 uint8 RGB. Returns N×width float32."""
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).to(self.device)
        return self.network(self.resize(pixels, self.resolution)).float().cpu().numpy()


def load(name: str, weights: str | Path, device: str | torch.device = "cpu") -> Loaded:
    """Load the extractor `name` with its weights: safetensors, or a published TorchScript file.

    Raises InputError for an unknown name, an unreadable file, and tensors that do not fit.
    """
    said, device = EXTRACTORS[name], torch.device(device)
    if not Path(weights).is_file():
        raise InputError(f"{weights}: no such file, expected the weights of {name}")
    try:
        network = resolve_name(said.build)(weights, device)
    except (RuntimeError, AttributeError) as error:  # the second: TorchScript of another network
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{weights}: found no readable weights ({reason}), expected those of {name}") from None
    spec = Spec(name, said.layer, said.width, f"{said.resize} {said.resolution}", file_digest(weights))
    return Loaded(spec, network, RESIZES[said.resize], said.resolution, device)


def extract(extractor: Loaded, images: Sequence, batch_size: int = 32, resolution: int = 0) -> np.ndarray:
    """Features of all images, N×width float32, with a progress bar.

    images: N×S×S×3 uint8, an array or anything that gives a batch for a list of rows (`piti.data.shards.Shards`).
    resolution: px, to which they are made small before, as a base model's targets are; 0: as they are.
    """
    rows = list(range(len(images)))
    starts = progress(range(0, len(rows), batch_size), desc=extractor.spec.name, unit="batch")
    batches = (images[rows[i : i + batch_size]] for i in starts)
    return np.concatenate([extractor(shrink(batch, resolution) if resolution else batch) for batch in batches])


def bicubic_float(images: torch.Tensor, resolution: int) -> torch.Tensor:
    """clean-fid's resize ("clean"): antialiased bicubic per channel, clipped to 0..255, never rounded.

    In float64 torch agrees with Pillow to 2e-5 of a grey level (float32: 5e-3), in batches and on any device.
    """
    size = (resolution, resolution)
    return F.interpolate(images.double(), size, mode="bicubic", antialias=True).clamp(0, 255).float()


def bicubic_uint8(images: torch.Tensor, resolution: int) -> torch.Tensor:
    """Pillow's resize of 8-bit pictures, which CLIP's own preprocessing uses (for square pictures its crop is none)."""
    pixels = images.permute(0, 2, 3, 1).cpu().numpy()
    resized = np.stack([Image.fromarray(p).resize((resolution, resolution), Image.Resampling.BICUBIC) for p in pixels])
    return torch.from_numpy(resized).permute(0, 3, 1, 2).to(images.device).float()


RESIZES = {resize.__name__: resize for resize in (bicubic_float, bicubic_uint8)}
