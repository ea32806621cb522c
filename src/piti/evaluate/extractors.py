"""The networks whose features a Fréchet distance compares, declared; `piti.evaluate.extract` loads them.

The paper's two are `inception` (FID-I) and `clip_vit_b32` (FID-C). `efficientnet_lite0` and `vgg16` are trained
networks that registry packages carry, for presets that must run where those cannot be fetched; their scores are
comparable among themselves only. An extractor's weights are the entry of its name in config/weights.yaml.
"""

from dataclasses import dataclass

from piti.registry import Registry


@dataclass(frozen=True)
class Extractor:
    """One network with the layer whose output is compared."""

    name: str
    head: str  # of a column of distances by it
    layer: str
    width: int  # numbers an image
    resize: str  # a key of piti.evaluate.extract.RESIZES: how pictures become the network's input
    resolution: int  # of that input, px
    build: str  # "module:function" of (weights file, torch.device); it gives the network
    metric: str = ""  # of the configuration's, whose numbers in the paper are by this network
    papers_fid: bool = False  # what the paper's tables call FID: a table of nothing else does not say so


EXTRACTORS = Registry(
    "extractors",
    Extractor(
        name="inception",
        head="FID-I ↓",
        layer="pool",
        width=2048,
        resize="bicubic_float",
        resolution=299,
        build="piti.evaluate.feature_networks:inception",
        metric="fid_i",
    ),
    Extractor(
        name="clip_vit_b32",
        head="FID-C ↓",
        layer="projection",
        width=512,
        resize="bicubic_uint8",
        resolution=224,
        build="piti.evaluate.feature_networks:clip",
        metric="fid_c",
        papers_fid=True,
    ),
    Extractor(
        name="efficientnet_lite0",
        head="FD EfficientNet-Lite0 ↓",
        layer="blocks.3 mean",
        width=80,
        resize="bicubic_float",
        resolution=128,
        build="piti.evaluate.feature_networks:efficientnet",
    ),
    Extractor(
        name="vgg16",
        head="FD VGG16 ↓",
        layer="relu2_2 log mean",
        width=128,
        resize="bicubic_float",
        resolution=64,
        build="piti.evaluate.feature_networks:vgg",
    ),
)
