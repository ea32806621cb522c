"""HED, holistically-nested edge detection (facts 5), under the names of the published checkpoint.

Five groups of VGG16 convolutions; each gives a score map, resized to the input's resolution; a 1x1 convolution
combines them.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUPS = {  # name: input channels, output channels, convolutions
    "One": (3, 64, 2),
    "Two": (64, 128, 2),
    "Thr": (128, 256, 3),
    "Fou": (256, 512, 3),
    "Fiv": (512, 512, 3),
}
MEANS = (104.00698793, 116.66876762, 122.67891434)  # of blue, green, red, in 0..255


class HED(nn.Module):
    """The edge network; 14,716,171 parameters."""

    def __init__(self):
        super().__init__()
        for name, (channels, width, convolutions) in GROUPS.items():
            layers = [] if name == "One" else [nn.MaxPool2d(2)]
            for _ in range(convolutions):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            self.add_module(f"netVgg{name}", nn.Sequential(*layers))
        for name, (_, width, _) in GROUPS.items():
            self.add_module(f"netScore{name}", nn.Conv2d(width, 1, 1))
        self.netCombine = nn.Sequential(nn.Conv2d(len(GROUPS), 1, 1), nn.Sigmoid())
        self.register_buffer("means", torch.tensor(MEANS)[:, None, None], persistent=False)

    def scores(self, bgr: Tensor) -> list[Tensor]:
        """The five score maps, N x 1 x h x w, each at its own size. bgr: N x 3 x H x W in [0, 1]."""
        x, scores = bgr * 255 - self.means, []
        for name in GROUPS:
            x = self.get_submodule(f"netVgg{name}")(x)
            scores.append(self.get_submodule(f"netScore{name}")(x))
        return scores

    def forward(self, bgr: Tensor) -> Tensor:
        """Edge probability N x 1 x H x W of blue-green-red images N x 3 x H x W in [0, 1]."""
        resized = [F.interpolate(score, bgr.shape[-2:], mode="bilinear") for score in self.scores(bgr)]
        return self.netCombine(torch.cat(resized, 1))


@torch.inference_mode()
def edges(model: HED, images: np.ndarray, resolution: int | None = None) -> np.ndarray:
    """Edge probabilities, float32 N x S x S, of photographs, RGB uint8 N x S x S x 3.

    resolution: the resolution HED sees, where it is not S: the photographs are resized to it, the probabilities back
        to S. Below
        about 128 px the coarse groups see almost nothing, and edges become blobs.
    """
    device = next(model.parameters()).device
    bgr = torch.from_numpy(images).to(device).flip(-1).permute(0, 3, 1, 2).float() / 255
    if resolution:
        bgr = F.interpolate(bgr, (resolution, resolution), mode="bicubic", antialias=True).clamp(0, 1)
    probability = model(bgr)
    if resolution:
        probability = F.interpolate(probability, images.shape[1:3], mode="bilinear", antialias=True)
    return probability[:, 0].cpu().numpy()
