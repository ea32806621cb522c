import pytest
import torch

from piti.evaluate.efficientnet import Trunk


@pytest.mark.parametrize("resolution", [64, 65, 128])
def test_equals_timm(resolution):
    import timm

    torch.manual_seed(0)
    whole = timm.create_model("tf_efficientnet_lite0").eval()
    for module in whole.modules():  # statistics of their own, so that every tensor matters
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 2)
    trunk = Trunk().eval()
    trunk.load_state_dict({k: v for k, v in whole.state_dict().items() if k in trunk.state_dict()})
    x = torch.rand(2, 3, resolution, resolution) * 2 - 1
    with torch.no_grad():
        expected = whole.blocks[:4](whole.bn1(whole.conv_stem(x)))
        torch.testing.assert_close(trunk(x), expected, rtol=1e-4, atol=1e-5)
