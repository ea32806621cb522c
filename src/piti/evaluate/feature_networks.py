"""The networks of the feature extractors, each from a local file of weights."""

from collections.abc import Callable
from pathlib import Path

import torch

from piti.evaluate.efficientnet import Trunk
from piti.networks import weights as checkpoint
from piti.networks.perceptual import VGGFeatures

Network = Callable[[torch.Tensor], torch.Tensor]  # N×3×resolution×resolution RGB float32 in 0..255 -> N×width
CLIP_MODEL = "ViT-B-32-quickgelu"  # OpenAI's weights are wrong in the variant without QuickGELU


def inception(weights: str | Path, device: torch.device) -> Network:
    """FID's own Inception (2015-12-05): the 2048 pooled features."""
    layers = torch.jit.load(weights, map_location=device).eval().layers
    return lambda x: layers((x - 128) / 128).flatten(1)


def clip(weights: str | Path, device: torch.device) -> Network:
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


def efficientnet(weights: str | Path, device: torch.device) -> Network:
    """The first half of EfficientNet-Lite0, mean over the positions; the other half's tensors are not read."""
    trunk = Trunk()
    tensors = {name: tensor for name, tensor in checkpoint.read(weights).items() if name in trunk.state_dict()}
    checkpoint.load(trunk, tensors, str(weights))
    trunk.requires_grad_(False).eval().to(device)
    return lambda x: trunk(x / 127.5 - 1).mean(dim=(2, 3))


def vgg(weights: str | Path, device: torch.device) -> Network:
    """The trunk of HED, a VGG16 of ImageNet tuned to edges: mean of ln(1 + x) over the positions.

    Without the logarithm five of the 128 channels, with values beyond 1000, would hold 63 % of the variance.
    """
    vgg = VGGFeatures(checkpoint.read(weights), ("relu2_2",), "vgg16", "caffe").to(device)
    return lambda x: (vgg.unit * vgg(x / 127.5 - 1)[0]).log1p().mean(dim=(2, 3))
