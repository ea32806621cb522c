"""Golden cases of the networks: condition encoder, U-Net, PITI and GLIDE, built from the entry alone."""

import numpy as np
import torch

from piti.cards import EncoderConfig, TextConfig, UNetConfig
from piti.networks.condition_encoder import ConditionEncoder
from piti.networks.glide import GLIDE
from piti.networks.piti import PITI
from piti.networks.unet import UNet, timestep_embedding
from piti.train.ema import ema_update
from tests.golden.rule import Case


def unet_config(case: Case, prefix: str = "") -> UNetConfig:
    """What the configuration does not say (tokens' width, low_res channels) is read off the shapes."""
    config, shapes = case.config, shapes_of(case)
    return UNetConfig(
        model_channels=config["model_channels"],
        channel_mult=tuple(config["channel_mult"]),
        num_res_blocks=config["num_res_blocks"],
        attention_resolutions=tuple(config["attention_resolutions"]),
        num_head_channels=config["num_head_channels"],
        in_channels=shapes[prefix + "input_blocks.0.0.weight"][1],
        out_channels=config["out_channels"],
        dropout=config["dropout"],
        token_width=shapes[prefix + "transformer_proj.weight"][1],
    )


def encoder_config(case: Case, prefix: str = "") -> EncoderConfig:
    shapes = {name.removeprefix(prefix): shape for name, shape in shapes_of(case).items() if name.startswith(prefix)}
    strides = sum(name.startswith("cnn.norm") and name.endswith("weight") for name in shapes) - 1
    _, positions, width = shapes["positional_embedding"]
    return EncoderConfig(
        in_channels=shapes["cnn.conv1.weight"][1],
        resolution=round((positions - 1) ** 0.5) << strides,
        strides=strides,
        width=width,
        layers=layers_of(shapes),
        heads=case.config["xf_heads"],
    )


def shapes_of(case: Case) -> dict[str, list[int]]:
    return dict(case.entry["state_dict"])


def layers_of(shapes: dict[str, list[int]]) -> int:
    return len({name.split(".")[2] for name in shapes if name.startswith("transformer.resblocks.")})


def tensors(case: Case) -> dict[str, torch.Tensor]:
    return {spec["name"]: torch.from_numpy(case.input(spec["name"])) for spec in case.entry["inputs"]}


@torch.no_grad()
def piti_decoder(case: Case) -> dict[str, np.ndarray]:
    config, given = unet_config(case), tensors(case)
    unet = case.fill(UNet(config)).eval()
    encoded = unet.encode_tokens(given["xf_out"].transpose(1, 2), given["xf_proj"])
    embedding = timestep_embedding(given["timesteps"], config.model_channels)
    return {
        "out": unet(given["x"], given["timesteps"], encoded).numpy(),
        "temb": embedding.numpy(),
        "emb": (unet.time_embed(embedding) + encoded.pooled).numpy(),
    }


@torch.no_grad()
def piti_encoder(case: Case) -> dict[str, np.ndarray]:
    encoder = case.fill(ConditionEncoder(encoder_config(case))).eval()
    condition = torch.from_numpy(case.input("ref"))
    tokens, pooled = encoder(condition)
    return {
        "cnn": encoder.cnn(condition).numpy(),
        "xf_proj": pooled.numpy(),
        "xf_out": tokens.transpose(1, 2).numpy(),
    }


@torch.no_grad()
def piti(case: Case) -> dict[str, np.ndarray]:
    given = tensors(case)
    model = case.fill(PITI(unet_config(case, "decoder."), encoder_config(case, "encoder."))).eval()
    tokens, pooled = model.encoder(given["ref"])
    return {
        "out": model(given["x"], given["timesteps"], given["ref"], given.get("low_res")).numpy(),
        "xf_proj": pooled.numpy(),
        "xf_out": tokens.transpose(1, 2).numpy(),
    }


@torch.no_grad()
def glide(case: Case) -> dict[str, np.ndarray]:
    config, shapes, given = case.config, shapes_of(case), tensors(case)
    text = TextConfig(
        width=config["xf_width"],
        layers=layers_of(shapes),
        heads=config["xf_heads"],
        context=config["text_ctx"],
        vocabulary=shapes["token_embedding.weight"][0],
    )
    model = case.fill(GLIDE(unet_config(case), text)).eval()
    tokens = []  # as encode_tokens receives them
    model.final_ln.register_forward_hook(lambda module, args, out: tokens.append(out))
    encoded = model.encode(given["tokens"], given["mask"])
    return {
        "out": model.denoise(given["x"], given["timesteps"], encoded, given.get("low_res")).numpy(),
        "xf_proj": encoded.pooled.numpy(),
        "xf_out": tokens[0].transpose(1, 2).numpy(),
    }


def piti_ema(case: Case) -> dict[str, np.ndarray]:
    target = [torch.from_numpy(case.input("target"))]
    source = torch.from_numpy(case.input("source"))
    for row in source:
        ema_update(target, [row], case.config["rate"])
    return {f"target_after_{len(source)}": target[0].numpy()}


CASES = {
    "piti_decoder": piti_decoder,
    "piti_encoder": piti_encoder,
    "piti_base": piti,
    "piti_superres": piti,
    "piti_ema": piti_ema,
    "glide_text2im": glide,
    "glide_superres": glide,
    "glide_superres_inpaint": None,  # out of scope
}
