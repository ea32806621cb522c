"""The GAN baselines: SPADE, OASIS, Pix2PixHD."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from piti.baselines import oasis, pix2pixhd, spade
from piti.baselines.patch import ADVERSARIAL, adversarial_loss, vgg_loss
from piti.cards.baselines import OASISConfig, Pix2PixHDConfig, SPADEConfig
from piti.conditions.semantics import boundary, one_hot
from piti.networks.perceptual import DEPTHS, WIDTHS, VGGFeatures
from tests.golden.rule import Case, weight

Outputs = dict[str, np.ndarray]


def tensor(case: Case, name: str) -> Tensor:
    return torch.from_numpy(case.input(name))


def edges(case: Case) -> Tensor:
    return boundary(tensor(case, "instance")[:, 0])


def semantics(case: Case, channels: int) -> Tensor:
    """One-hot labels, and the instance boundaries where the entry has instances and does not leave them out."""
    labels = tensor(case, "label")[:, 0]
    if case.config.get("no_instance") or all(i["name"] != "instance" for i in case.entry["inputs"]):
        return one_hot(labels, channels)
    return torch.cat([one_hot(labels, channels - 1), edges(case)], dim=1)


def logits(case: Case) -> list[list[Tensor]]:
    """The given logit maps, one a scale."""
    return [[tensor(case, i["name"])] for i in case.entry["inputs"] if i["name"].startswith("logits")]


def train_and_eval(network: nn.Module, *inputs: Tensor) -> dict[str, Tensor]:
    """A first forward in train mode, and one in eval mode with the buffers that it left."""
    with torch.no_grad():
        return {"train": network.train()(*inputs), "eval": network.eval()(*inputs)}


def grad_norms(network: nn.Module, losses: dict[str, Tensor]) -> Tensor:
    """Of a network in float64. At a kink of a loss or an activation, what is nearly 0 has either sign in float32, by
    the CPU's rounding, and the gradient jumps with it: by 6e-4 between CPUs with AVX-512 and with AVX2.
    """
    gradients = torch.autograd.grad(sum(losses.values()), list(network.parameters()))
    return torch.stack([gradient.norm() for gradient in gradients])


def features(scales: list[list[Tensor]]) -> dict[str, Tensor]:
    return {f"scale{s}_feat{j}": f for s, layers in enumerate(scales) for j, f in enumerate(layers)}


def arrays(outputs: dict[str, Tensor]) -> Outputs:
    return {name: value.detach().numpy() for name, value in outputs.items()}


# -- SPADE -----------------------------------------------------------------------------------------------------------


def spade_model(case: Case) -> spade.SPADE:
    names = ("ngf", "num_upsampling_layers", "ndf", "num_D", "n_layers_D", "gan_mode", "lambda_feat")
    channels = case.config["semantic_nc"]
    return spade.SPADE(SPADEConfig(channels, lambda_vgg=0.0, **{name: case.config[name] for name in names}))


def spade_generator(case: Case) -> Outputs:
    generator = case.fill(spade_model(case).generator)
    condition = semantics(case, case.config["semantic_nc"])
    outputs = train_and_eval(generator, condition)
    outputs |= {f"after_{name}": value for name, value in generator.state_dict().items()}
    if "edges" in case.entry["outputs"]:
        outputs["edges"] = edges(case).byte()
    return arrays(outputs)


def spade_discriminator(case: Case) -> Outputs:
    discriminator = case.fill(spade_model(case).discriminator)
    pair = torch.cat([semantics(case, case.config["semantic_nc"]), tensor(case, "image")], dim=1)
    return arrays(features(discriminator(pair)))


def spade_losses(case: Case) -> Outputs:
    model, image = spade_model(case).double(), tensor(case, "image").double()  # grad_norms says why
    condition = semantics(case, case.config["semantic_nc"]).double()

    buffers = ("running_mean", "running_var", "num_batches_tracked")  # which this entry does not list
    case.entry["default_buffers"] = [name for name, _ in case.entry["state_dict_G"] if name.endswith(buffers)]

    def refill():
        case.fill(model.generator, key="state_dict_G")
        case.fill(model.discriminator, key="state_dict_D")

    refill()
    fake = model.discriminator_fake(condition, image, {})
    for_discriminator = model.discriminator_loss(condition, image, fake, {})
    refill()
    fake = model.generate(condition, {})
    for_generator = model.generator_loss(condition, image, fake, {})

    vgg, a, b = vgg_with_rule_weights(), tensor(case, "vgg_a"), tensor(case, "vgg_b")
    outputs = {
        "D_step_D_Fake": for_discriminator["fake"][None],
        "D_step_D_real": for_discriminator["real"][None],
        "G_step_GAN": for_generator["gan"][None],
        "G_step_GAN_Feat": for_generator["feature_matching"][None],
        "fake": fake,
        "G_grad_norms": grad_norms(model.generator, for_generator),
        "vgg_per_layer": torch.stack([F.l1_loss(x, y) for x, y in zip(vgg(a), vgg(b), strict=True)]),
        "vgg_loss": vgg_loss(vgg, a, b),
    }
    for mode, losses in ADVERSARIAL.items():
        outputs[f"gan_{mode}"] = torch.stack([adversarial_loss(loss, logits(case)).mean() for loss in losses])
    return arrays(outputs)


def vgg_with_rule_weights() -> VGGFeatures:
    """The entry says it in words: rule weights features.N.{weight,bias}, scale 0.03, no ImageNet normalisation."""
    weights, index, width = {}, 0, 3
    for depth, wider in zip(DEPTHS["vgg19"], WIDTHS, strict=True):
        for _ in range(depth):
            for name, shape in (("weight", [wider, width, 3, 3]), ("bias", [wider])):
                name = f"features.{index}.{name}"
                weights[name] = torch.from_numpy(weight(name, shape, {"scale": 0.03}))
            index, width = index + 2, wider  # a convolution and its ReLU
        index += 1  # the pooling
    return VGGFeatures(weights, convention="raw")


# -- OASIS -----------------------------------------------------------------------------------------------------------


def oasis_model(case: Case) -> oasis.OASIS:
    """The widths of the discriminator are fixed in the release: the card's default."""
    config = case.config
    z_dim = 0 if config["no_3dnoise"] else config["z_dim"]
    return oasis.OASIS(OASISConfig(config["semantic_nc"], channels_G=config["channels_G"], z_dim=z_dim))


def oasis_generator(case: Case) -> Outputs:
    model = oasis_model(case)
    noise = tensor(case, "z")[:, : model.config.z_dim]
    condition = semantics(case, model.config.condition_channels)
    return arrays(train_and_eval(case.fill(model.generator), condition, noise))


def oasis_discriminator(case: Case) -> Outputs:
    return arrays(train_and_eval(case.fill(oasis_model(case).discriminator), tensor(case, "image")))


def oasis_losses(case: Case) -> Outputs:
    condition = semantics(case, case.config["semantic_nc"])
    labels, counts = condition.argmax(dim=1), condition.sum(dim=(0, 2, 3))
    weights = {
        "": oasis.class_weights(counts, void=case.config["contain_dontcare_label"]),
        "nobalance_": torch.ones(condition.shape[1]),
        "nodontcare_": oasis.class_weights(counts, void=False),
    }
    logits = tensor(case, "logits").requires_grad_()
    outputs = {f"{kind}loss_real": oasis.segmentation_loss(logits, condition, w) for kind, w in weights.items()}
    outputs |= {f"{kind}loss_fake": oasis.fake_loss(logits) for kind in weights}
    for kind in ("real", "fake"):
        (outputs[f"grad_{kind}"],) = torch.autograd.grad(outputs[f"loss_{kind}"], logits)
    mask = oasis.labelmix_mask(condition, torch.tensor(case.entry["coins"]), counts)
    on_mixed, on_fake, on_real = (tensor(case, f"D_{kind}") for kind in ("mixed", "fake", "real"))
    outputs |= {
        "weight_map": weights[""][labels][:, None],
        "target_real": labels + 1,
        "target_fake": torch.zeros_like(labels),
        "labelmix": oasis.labelmix_loss(on_mixed, on_fake, on_real, tensor(case, "mask")),
        "mix_mask": mask.byte(),
        "mix_image": torch.lerp(tensor(case, "fake"), tensor(case, "real"), mask),
    }
    return arrays(outputs)


# -- Pix2PixHD -------------------------------------------------------------------------------------------------------


def pix2pixhd_model(generator: dict, discriminator: dict | None = None, **others) -> pix2pixhd.Pix2PixHD:
    """From the entry's words for the two networks."""
    if "n_local_enhancers" in generator:
        others |= {"n_local_enhancers": generator["n_local_enhancers"], "n_blocks_local": generator["n_blocks_local"]}
    if discriminator:
        others |= {
            "ndf": discriminator["ndf"],
            "num_D": discriminator["num_D"],
            "n_layers_D": discriminator["n_layers"],
        }
    return pix2pixhd.Pix2PixHD(
        Pix2PixHDConfig(
            generator["input_nc"],
            ngf=generator["ngf"],
            n_downsampling=generator.get("n_downsampling", generator.get("n_downsample_global")),
            n_blocks=generator.get("n_blocks", generator.get("n_blocks_global")),
            lambda_vgg=0.0,
            **others,
        )
    )


def pix2pixhd_generator(case: Case) -> Outputs:
    generator = case.fill(pix2pixhd_model(case.config).generator)
    return arrays({"out": generator(semantics(case, case.config["input_nc"]))})


def pix2pixhd_discriminator(case: Case) -> Outputs:
    config = case.config
    discriminator = pix2pixhd.Discriminator(config["input_nc"], config["ndf"], config["n_layers"], config["num_D"])
    pair = torch.cat([semantics(case, config["input_nc"] - 3), tensor(case, "image")], dim=1)
    return arrays(features(case.fill(discriminator)(pair)))


def pix2pixhd_losses(case: Case) -> Outputs:
    config = case.config
    model = pix2pixhd_model(config["G"], config["D"], lambda_feat=config["lambda_feat"]).double()  # grad_norms says why
    case.fill(model.generator, key="state_dict_G")
    case.fill(model.discriminator, key="state_dict_D")
    condition, image = semantics(case, config["G"]["input_nc"]).double(), tensor(case, "image").double()
    fake = model.generate(condition, {})
    for_generator = model.generator_loss(condition, image, fake, {})
    for_discriminator = model.discriminator_loss(condition, image, fake.detach(), {})
    outputs = {
        "D_fake": 2 * for_discriminator["fake"],  # the entry's are before the factor 0.5
        "D_real": 2 * for_discriminator["real"],
        "G_GAN": for_generator["gan"],
        "G_GAN_Feat": for_generator["feature_matching"],
        "G_grad_norms": grad_norms(model.generator, for_generator),
        "fake": fake,
    }
    for name, mode in (("lsgan_tensors", "ls"), ("bce_tensors", "original")):
        on_real, on_fake, _ = ADVERSARIAL[mode]
        outputs[name] = torch.stack([adversarial_loss(loss, logits(case)).sum() for loss in (on_real, on_fake)])
    return arrays(outputs)


CASES = {
    "spade_generator": spade_generator,
    "spade_discriminator": spade_discriminator,
    "spade_losses": spade_losses,
    "oasis_generator": oasis_generator,
    "oasis_discriminator": oasis_discriminator,
    "oasis_losses": oasis_losses,
    "pix2pixhd_generator": pix2pixhd_generator,
    "pix2pixhd_local_enhancer": pix2pixhd_generator,
    "pix2pixhd_discriminator": pix2pixhd_discriminator,
    "pix2pixhd_losses": pix2pixhd_losses,
}
