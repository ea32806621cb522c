"""Golden cases of the conditions: colour maps, distance maps and the edge network."""

import numpy as np
import torch
from PIL import Image

from piti.conditions import CONDITIONS
from piti.conditions.sketch import distance
from piti.datasets.colours import colour_map
from piti.networks.hed import GROUPS, HED
from tests.golden.check import Tolerance
from tests.golden.rule import Case


def label_colormap(case: Case) -> dict:
    outputs, labels = {}, case.input("labels").astype(int)
    for name in case.entry["outputs"]:
        count = int(name.removeprefix("map").removeprefix("colorized"))
        if name.startswith("map"):
            outputs[name] = colour_map(count + 1)[1:]  # the release's label is our stored label - 1
        else:
            stored = np.where(labels < count, labels + 1, 0).astype(np.uint8)
            outputs[name] = _levels(CONDITIONS["mask"].encode(stored[None])[0])
    return outputs


def sketch_encoding(case: Case) -> dict:
    drawn, encode = case.input("sketch"), CONDITIONS["sketch"].encode
    tensor = encode(drawn[None] == 255)[0]
    large = np.asarray(Image.fromarray(drawn).resize((256, 256), Image.Resampling.NEAREST))
    return {
        "distance": distance(drawn == 255),
        "uint8": _levels(tensor[0]),
        "tensor": tensor,
        "uint8_256": _levels(encode(large[None] == 255)[0, 0]),
        "empty_sketch_uint8": _levels(encode(np.zeros_like(drawn)[None])[0, 0]),
    }


@torch.inference_mode()
def hed(case: Case) -> dict:
    model, x = case.fill(HED()).eval(), torch.from_numpy(case.input("x"))
    logits = []
    model.netCombine[0].register_forward_hook(lambda module, inputs, output: logits.append(output))
    out = model(x)
    scores = {f"netScore{name}": score.numpy() for name, score in zip(GROUPS, model.scores(x), strict=True)}
    return scores | {"out": out.numpy(), "logit": logits[0].numpy(), "binary": (out > 0.6).numpy().astype(np.uint8)}


def hed_tolerance(case: Case, output: str) -> Tolerance | None:
    """`binary` may differ where `out` is within its own tolerance of the threshold; elsewhere it is exact."""
    if output != "binary":
        return None
    near = np.abs(case.arrays["out"] - 0.6) < case.entry["tolerance"]["rel"] * np.abs(case.arrays["out"]).max()
    return Tolerance(share=float(near.mean()))


def _levels(tensor: np.ndarray) -> np.ndarray:
    """[-1, 1] -> uint8."""
    return np.rint((tensor + 1) * 127.5).astype(np.uint8)


CASES = {"label_colormap": label_colormap, "sketch_encoding": sketch_encoding, "hed": hed}
TOLERANCES = {"hed": hed_tolerance}
