"""Named feature extractors: pictures in, feature vectors out, weights from a local file.

The paper's two are `inception` (FID-I) and `clip_vit_b32` (FID-C). `efficientnet_lite0` and `vgg16` are trained
networks that registry packages carry, for presets that must run where those cannot be fetched; their scores are
comparable among themselves only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from tqdm import tqdm

from piti.evaluate.efficientnet import Trunk
from piti.evaluate.features import Spec
from piti.networks import weights as checkpoint
from piti.networks.perceptual import VGGFeatures
from piti.registry import unknown_key
from piti.store.files import InputError, file_digest

Network = Callable[[torch.Tensor], torch.Tensor]  # N×3×resolution×resolution RGB float32 in 0..255 -> N×width
CLIP_MODEL = "ViT-B-32-quickgelu"  # OpenAI's weights are wrong in the variant without QuickGELU


@dataclass(frozen=True)
class Extractor:
    """A loaded extractor; call it with a batch."""

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


def load(name: str, weights: str | Path, device: str | torch.device = "cpu") -> Extractor:
    """Load the extractor `name` with its weights: safetensors, for `inception` the published TorchScript file.

    Raises InputError for an unknown name, an unreadable file, and tensors that do not fit.
    """
    if name not in _RECIPES:
        raise InputError(unknown_key(name, _RECIPES, "extractor"))
    recipe, device = _RECIPES[name], torch.device(device)
    if not Path(weights).is_file():
        raise InputError(f"{weights}: no such file, expected the weights of {name}")
    try:
        network = recipe.build(weights, device)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{weights}: found no readable weights ({reason}), expected those of {name}") from None
    resize = f"{recipe.resize.__name__} {recipe.resolution}"
    spec = Spec(name, recipe.layer, recipe.width, resize, file_digest(weights))
    return Extractor(spec, network, recipe.resize, recipe.resolution, device)


def extract(extractor: Extractor, images: Sequence, batch_size: int = 32) -> np.ndarray:
    """Features of all images, N×width float32, with a progress bar.

    images: N×S×S×3 uint8, an array or anything that gives a batch for a list of rows (`piti.data.shards.Shards`).
    """
    rows = list(range(len(images)))
    starts = tqdm(range(0, len(rows), batch_size), desc=extractor.spec.name, unit="batch")
    return np.concatenate([extractor(images[rows[i : i + batch_size]]) for i in starts])


# -- resizing ----------------------------------------------------------------------------------------------------


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


# -- networks ----------------------------------------------------------------------------------------------------


def _inception(weights: str | Path, device: torch.device) -> Network:
    """FID's own Inception (2015-12-05): the 2048 pooled features."""
    layers = torch.jit.load(weights, map_location=device).eval().layers
    return lambda x: layers((x - 128) / 128).flatten(1)


def _clip(weights: str | Path, device: torch.device) -> Network:
    """CLIP's image embedding, projected, not normalised to unit length; only the tensors `visual.*` are read."""
    import open_clip  # seconds, as torchvision comes with it

    visual = open_clip.create_model(CLIP_MODEL, load_weights=False).visual
    tensors = {k.removeprefix("visual."): v for k, v in checkpoint.read(weights).items() if k.startswith("visual.")}
    checkpoint.load(visual, tensors, str(weights))
    visual.requires_grad_(False).eval().to(device)
    mean, deviation = (
        torch.tensor(v, device=device).view(3, 1, 1)
        for v in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    )
    return lambda x: visual((x / 255 - mean) / deviation)


def _efficientnet(weights: str | Path, device: torch.device) -> Network:
    """The first half of EfficientNet-Lite0, mean over the positions; the other half's tensors are not read."""
    trunk = Trunk()
    tensors = {name: tensor for name, tensor in checkpoint.read(weights).items() if name in trunk.state_dict()}
    checkpoint.load(trunk, tensors, str(weights))
    trunk.requires_grad_(False).eval().to(device)
    return lambda x: trunk(x / 127.5 - 1).mean(dim=(2, 3))


def _vgg16(weights: str | Path, device: torch.device) -> Network:
    """The trunk of HED, a VGG16 of ImageNet tuned to edges: mean of ln(1 + x) over the positions.

    Without the logarithm five of the 128 channels, with values beyond 1000, would hold 63 % of the variance.
    """
    vgg = VGGFeatures(checkpoint.read(weights), ("relu2_2",), "vgg16", "caffe").to(device)
    return lambda x: (vgg.unit * vgg(x / 127.5 - 1)[0]).log1p().mean(dim=(2, 3))


@dataclass(frozen=True)
class _Recipe:
    layer: str
    width: int
    resize: Callable[[torch.Tensor, int], torch.Tensor]
    resolution: int
    build: Callable[[str | Path, torch.device], Network]


_RECIPES = {
    "inception": _Recipe("pool", 2048, bicubic_float, 299, _inception),
    "clip_vit_b32": _Recipe("projection", 512, bicubic_uint8, 224, _clip),
    "efficientnet_lite0": _Recipe("blocks.3 mean", 80, bicubic_float, 128, _efficientnet),
    "vgg16": _Recipe("relu2_2 log mean", 128, bicubic_float, 64, _vgg16),
}
