"""The GAN baselines: each is a dataclass here, and its networks in a file of `piti.baselines`. Nothing else names one.

The defaults are the published full size at 256 px (facts section 3).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from piti.registry import Registry

GanMode = Literal["hinge", "ls", "original", "w"]


@dataclass(frozen=True)
class BaselineConfig:
    """What every baseline has."""

    family: ClassVar[Registry[type["BaselineConfig"]]] = Registry("baselines")
    name: ClassVar[str]  # also the `kind` of its rows of models.yaml
    network: ClassVar[str]  # its `piti.baselines.contract.Baseline`, "module:class"
    conditions: ClassVar[tuple[str, ...]] = ()  # kinds that it can take; empty: all
    of_no_size: ClassVar[tuple[str, ...]] = ("lr_generator", "lr_discriminator", "betas", "decay")  # cost the same

    condition_channels: int = 151  # all that it sees of the condition: a channel a class and one for boundaries
    resolution: int = 256  # px
    lr_generator: float = 1e-4
    lr_discriminator: float = 4e-4
    betas: tuple[float, ...] = (0.0, 0.999)
    decay: float = 0.0  # last part of the training in which the learning rates fall linearly to 0
    classes: tuple[int, ...] = ()  # labels that have a channel, in its order, void before them; empty: all

    @property
    def uses_vgg(self) -> bool:
        """Whether the generator's loss wants VGG features."""
        return getattr(self, "lambda_vgg", 0) > 0


BASELINES = BaselineConfig.family


@BASELINES.add
@dataclass(frozen=True)
class Pix2PixHDConfig(BaselineConfig):
    """Pix2PixHD (facts 3.1). The release has no setting for ADE20K or COCO at 256 px: these are its defaults."""

    name: ClassVar = "pix2pixhd"
    network: ClassVar = "piti.baselines.pix2pixhd:Pix2PixHD"
    of_no_size: ClassVar = (*BaselineConfig.of_no_size, "gan_mode", "lambda_feat")

    ngf: int = 64  # generator's first width
    n_downsampling: int = 4
    n_blocks: int = 9  # residual blocks at the lowest resolution
    n_local_enhancers: int = 0  # 0: the global generator alone, as for all resolutions up to 1024
    n_blocks_local: int = 3
    ndf: int = 64  # discriminator's first width
    num_D: int = 2  # scales of the discriminator
    n_layers_D: int = 3  # stride-2 layers of each scale
    gan_mode: GanMode = "ls"
    lambda_feat: float = 10.0  # feature matching
    lambda_vgg: float = 10.0  # perceptual loss; 0 leaves it out
    lr_generator: float = 2e-4
    lr_discriminator: float = 2e-4
    betas: tuple[float, ...] = (0.5, 0.999)

    def __post_init__(self):
        require_multiple(self.resolution, 2 ** (self.n_downsampling + self.n_local_enhancers))


@BASELINES.add
@dataclass(frozen=True)
class SPADEConfig(BaselineConfig):
    """SPADE (facts 3.2), deterministic as released (no VAE); two time scales."""

    name: ClassVar = "spade"
    network: ClassVar = "piti.baselines.spade:SPADE"
    of_no_size: ClassVar = (*BaselineConfig.of_no_size, "gan_mode", "lambda_feat")

    ngf: int = 64  # generator's last width
    nhidden: int = 128  # width between the condition and its gamma and beta
    num_upsampling_layers: Literal["fewer", "normal", "more"] = "normal"  # 4, 5 or 6 doublings of the latent
    ndf: int = 64  # discriminator's first width
    num_D: int = 2  # scales of the discriminator
    n_layers_D: int = 4  # layers of each scale before the logits
    gan_mode: GanMode = "hinge"
    lambda_feat: float = 10.0  # feature matching
    lambda_vgg: float = 10.0  # perceptual loss; 0 leaves it out
    betas: tuple[float, ...] = (0.0, 0.9)  # the release's; the paper says (0, 0.999)

    def __post_init__(self):
        require_multiple(self.resolution, 2**self.doublings)

    @property
    def doublings(self) -> int:
        """How often the resolution doubles from the latent to the picture."""
        return {"fewer": 4, "normal": 5, "more": 6}[self.num_upsampling_layers]


@BASELINES.add
@dataclass(frozen=True)
class OASISConfig(BaselineConfig):
    """OASIS (facts 3.3). Needs class labels: channel 0 is void, no instance boundaries; two time scales."""

    name: ClassVar = "oasis"
    network: ClassVar = "piti.baselines.oasis:OASIS"
    conditions: ClassVar = ("mask",)
    of_no_size: ClassVar = (*BaselineConfig.of_no_size, "lambda_labelmix", "max_class_weight")

    channels_G: int = 64  # generator's last width
    nhidden: int = 128  # width between the condition and its gamma and beta
    channels_D: int = 128  # discriminator's first width
    z_dim: int = 64  # channels of noise
    num_res_blocks: Literal[5, 6] = (
        6  # of the generator and of each way of the discriminator; 5 for resolutions below 64 px
    )
    lambda_labelmix: float = 10.0
    max_class_weight: float = 0.0  # 0: no limit; few pixels give a rare class weights of hundreds

    def __post_init__(self):
        require_multiple(self.resolution, 2**self.num_res_blocks)


def require_multiple(resolution: int, factor: int) -> None:
    """Raise ValueError unless `resolution` can be halved as often as the networks do."""
    if resolution % factor:
        raise ValueError(f"resolution: found {resolution}, expected a multiple of {factor}")
