"""How large everything is that is measured: the paper's sizes, and tiny ones that show within seconds that all runs."""

from dataclasses import dataclass

from piti.cards import EncoderConfig, UNetConfig
from piti.cards.baselines import OASISConfig, Pix2PixHDConfig, SPADEConfig


@dataclass(frozen=True)
class Sizes:
    """Sides in pixels."""

    unet: UNetConfig = UNetConfig()
    encoder: EncoderConfig = EncoderConfig()
    base_resolution: int = 64
    stage1_batch: int = 2
    matmul: int = 4096  # rows and columns of the product that gives the machine's rate
    resolution: int = 256  # of packed pictures, sketches and degraded photographs
    scene_resolution: int = 512  # of the JPEG files that the straightforward loader decodes
    loader_batch: int = 16
    loader_steps: int = 4
    hed_batch: int = 16
    features: tuple[tuple[int, int], ...] = ((2000, 2048), (5000, 2048))  # images and width: ADE20K, COCO
    degraded: int = 32  # photographs
    pix2pixhd: Pix2PixHDConfig = Pix2PixHDConfig()
    spade: SPADEConfig = SPADEConfig()
    oasis: OASISConfig = OASISConfig()


FULL = Sizes()
SMALL = Sizes(
    unet=UNetConfig(
        model_channels=32,
        channel_mult=(1, 2),
        num_res_blocks=1,
        attention_resolutions=(2,),
        num_head_channels=16,
        token_width=32,
    ),
    encoder=EncoderConfig(resolution=32, strides=2, width=32, layers=1, heads=2),
    base_resolution=16,
    matmul=256,
    resolution=64,
    scene_resolution=64,
    loader_batch=2,
    loader_steps=1,
    hed_batch=2,
    features=((20, 32), (50, 32)),
    degraded=8,
    pix2pixhd=Pix2PixHDConfig(resolution=64, ngf=4, ndf=4),
    spade=SPADEConfig(resolution=64, ngf=4, nhidden=8, ndf=4),
    oasis=OASISConfig(resolution=64, channels_G=4, nhidden=8, channels_D=8, z_dim=4),
)
