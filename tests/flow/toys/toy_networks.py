"""The networks of the plug-in's baseline."""

from torch import nn

from piti.baselines.contract import Baseline


class Toy(Baseline):
    """One convolution each, least squares."""

    def __init__(self, config):
        seen, width = config.condition_channels, config.width
        generator = nn.Sequential(nn.Conv2d(seen, width, 1), nn.Conv2d(width, 3, 1), nn.Tanh())
        super().__init__(config, generator, nn.Sequential(nn.Conv2d(3, 1, 1)))

    def initialise(self, generator):
        for parameter in self.parameters():
            parameter.data.normal_(0, 0.1, generator=generator)

    def generator_loss(self, semantics, image, fake, drawn, vgg=None):
        return {"gan": (self.discriminator(fake) - 1).square().mean(), "image": (fake - image).abs().mean()}

    def discriminator_loss(self, semantics, image, fake, drawn):
        return {
            "real": (self.discriminator(image) - 1).square().mean(),
            "fake": self.discriminator(fake).square().mean(),
        }
