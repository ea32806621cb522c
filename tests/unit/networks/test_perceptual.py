"""VGG features, on weights of the right shapes."""

import pytest
import torch

from piti.networks.perceptual import CONVENTIONS, DEPTHS, VGGFeatures
from piti.store.files import InputError

# torchvision's own indices of the convolutions
CONVOLUTIONS = {
    "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    "vgg19": (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
}


def weights(arch="vgg19"):
    """He-initialised tensors under torchvision's names, the classifier's too."""
    generator = torch.Generator().manual_seed(0)
    widths = [w for w, depth in zip((64, 128, 256, 512, 512), DEPTHS[arch], strict=True) for _ in range(depth)]
    state, width = {"classifier.0.bias": torch.zeros(1)}, 3
    for index, wider in zip(CONVOLUTIONS[arch], widths, strict=True):
        state[f"features.{index}.weight"] = (
            torch.randn(wider, width, 3, 3, generator=generator) * (2 / (9 * width)) ** 0.5
        )
        state[f"features.{index}.bias"] = 0.1 * torch.randn(wider, generator=generator)
        width = wider
    return state


def images(seed=0):
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("arch", DEPTHS)
def test_five_levels_are_torchvisions(arch):
    """The stack, run by hand with torchvision's indices."""
    state = weights(arch)
    maps = VGGFeatures(state, arch=arch, convention="raw")(images())
    x, wanted, last = images(), [], -2
    for index in CONVOLUTIONS[arch]:
        if index == last + 3:  # a pooling lies between
            x = torch.nn.functional.max_pool2d(x, 2)
        new_block = index in (0, last + 3)
        x = torch.conv2d(x, state[f"features.{index}.weight"], state[f"features.{index}.bias"], padding=1).relu()
        if new_block:
            wanted.append(x)
        last = index
    assert [m.shape[1:] for m in maps] == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2)]
    for got, want in zip(maps, wanted, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_input_conventions():
    """White, black and a colour, as the first convolution sees them."""
    state = {"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": torch.zeros(64)}
    for channel in range(3):
        state["features.0.weight"][channel, channel, 1, 1] = 1
    x = torch.tensor([[1.0, 1, 1], [-1, -1, -1], [1, 0, -1]]).view(3, 3, 1, 1)

    def seen(convention):
        vgg = VGGFeatures(state, ("conv1_1",), convention=convention)
        return vgg.unit * vgg(x)[0][:, :3, 0, 0]

    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    rgb = torch.tensor([[1.0, 1, 1], [0, 0, 0], [1, 0.5, 0]])
    torch.testing.assert_close(seen("torchvision"), (rgb - mean) / std)
    torch.testing.assert_close(seen("caffe"), 255 * rgb.flip(1) - torch.tensor([104.007, 116.669, 122.679]))
    torch.testing.assert_close(seen("raw"), x[:, :, 0, 0])


@pytest.mark.parametrize("arch", ["vgg16", "vgg19"])
def test_wrong_weights_are_named(arch):
    state = weights(arch)
    del state["features.10.bias"]
    with pytest.raises(InputError, match=rf"{arch} weights.*1 missing \(features.10.bias\)"):
        VGGFeatures(state, arch=arch)
    with pytest.raises(InputError, match="shape"):
        VGGFeatures(weights("vgg16"), arch="vgg19")


def test_only_what_is_asked_for_is_built():
    network = VGGFeatures(weights(), ("conv2_2",), convention=next(iter(CONVENTIONS)))
    assert list(network.state_dict())[-1] == "features.7.bias"
    assert len(network.features) == 8  # torchvision's features[0:8]
