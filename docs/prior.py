"""The small prior's numbers: how far the drawn worlds lie from the task's, and how good the prior became by when.

    python -m docs.prior worlds WEIGHTS
    python -m docs.prior curve WEIGHTS KEPT
    python -m docs.prior ship KEPT/STEP.safetensors weights/prior_base.safetensors

from the root of the repository, with src/ on the path. WEIGHTS: those of EfficientNet-Lite0, as `convert_weights`
leaves them (results/mini/weights/efficientnet_lite0/DIGEST/weights.safetensors). KEPT: the EMA weights
that `make prior` leaves on the way, results/prior/models/prior_base/checkpoint-DIGEST/ema. Prints tables in Markdown.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from piti.cards import TrainCard
from piti.cards.base import dumps
from piti.config import load
from piti.data.synthetic import SyntheticBatches
from piti.diffusion.gaussian import GaussianDiffusion
from piti.diffusion.samplers import ancestral
from piti.evaluate import extract, frechet
from piti.networks.glide import GLIDE
from piti.networks.weights import load as load_weights
from piti.networks.weights import read, strip_text
from piti.plan import Plan
from piti.plan.models import trained
from piti.scenes import render
from piti.scenes.styles import STYLES
from piti.scenes.write import developed
from piti.store.files import atomic, file_digest
from piti.train.batches import low_res

RESOLUTION, COUNT, SETS, UNSEEN = 32, 1024, 3, 10**6  # a scene after the millionth is none of the training's


def distances(weights: Path) -> str:
    """FD of each world from the task's photographs, as mini scores pictures: SETS independent sets of COUNT, and their
    quarters."""
    extractor = extract.load("efficientnet_lite0", weights)

    def features(style: str, seed: int) -> np.ndarray:
        drawn = render(seed, np.arange(COUNT), 64, style).image
        images = np.stack([np.asarray(developed(image, RESOLUTION)) for image in drawn])
        return extract.extract(extractor, images).astype(float)

    found = {style: ([], []) for style in STYLES}
    for number in range(SETS):
        task = features("task", 2000 + number)
        for style, (quarters, whole) in found.items():
            other = features(style, 3000 + number)
            whole.append(frechet.distance(task, other))
            quarters += map(frechet.distance, np.split(task, 4), np.split(other, 4))
    lines = [f"| {s} | {spread(quarters)} | {spread(whole)} |" for s, (quarters, whole) in found.items()]
    head = ["| world | FD from the task, n = 256 | n = 1024 |", "|---|---|---|"]
    return "\n".join(head + lines)


def spread(values: list[float]) -> str:
    return f"{np.mean(values):.0f} ({min(values):.0f} to {max(values):.0f})"


def curve(weights: Path, kept: Path, count: int = 256) -> str:
    """FD of what the EMA weights in `kept` draw under captions of unseen scenes from those scenes' photographs, at
    their resolution; of an upsampler, from the same photographs made small. 25 ancestral steps, of an upsampler 50; no
    guidance."""
    card = card_of(kept.parents[1].name)
    upsampler = card.training.kind == "prior_upsampler"
    batches = SyntheticBatches(
        card.synthetic,
        seed=0,
        batch_size=64,
        resolution=card.image_resolution,
        shrunk_resolution=0 if upsampler else card.base_resolution,
        low_res=low_res(card) if upsampler else None,
    )
    unseen = [batches[UNSEEN // 64 + 1 + step] for step in range(count // 64)]
    extractor = extract.load("efficientnet_lite0", weights)

    def features(images: list[torch.Tensor]) -> np.ndarray:
        levels = torch.cat(images).clamp(-1, 1).add(1).mul(127.5).round().byte()
        return extract.extract(extractor, levels.permute(0, 2, 3, 1).numpy()).astype(float)

    real = features([batch["image"] for batch in unseen])
    diffusion = GaussianDiffusion(card.training.noise_schedule, respacing="50" if upsampler else "25")
    lines = ["| scenes seen | FD |", "|---|---|"]
    for file in sorted(kept.glob("*.safetensors")):
        model = GLIDE(card.unet, card.text).eval()
        load_weights(model, read(file), str(file))
        drawn = [sample(model, diffusion, batch, seed) for seed, batch in enumerate(unseen)]
        lines.append(f"| {int(file.stem) * card.training.batch:,} | {frechet.distance(real, features(drawn)):.1f} |")
    return "\n".join(lines)


@torch.inference_mode()
def sample(model: GLIDE, diffusion: GaussianDiffusion, batch: dict, seed: int) -> torch.Tensor:
    draw, tokens = torch.Generator().manual_seed(seed), batch["condition"]
    encoded, small = model.encode(tokens, tokens != 0), batch.get("low_res")
    noise = lambda _=0: torch.randn(batch["image"].shape, generator=draw)  # noqa: E731
    return ancestral(lambda x, t: model.denoise(x, t, encoded, small), diffusion, noise(), noise)


def card_of(row: str) -> TrainCard:
    """What the preset trains as this row."""
    return trained(Plan(load({"preset": "prior"}, Path("config"))), row, "", 1.0, 0).card


def ship(weights: Path, output: Path) -> str:
    """EMA weights kept on the way as the file that ships: without the text part, in bf16, with the card of the row that
    the output is named after, its steps those of the file. The digest."""
    card, tensors = card_of(output.stem), read(weights)
    said = {"card": dumps(replace(card, training=replace(card.training, steps=int(weights.stem))))}
    tensors = {name: tensor.bfloat16() for name, tensor in strip_text(tensors, str(weights)).items()}
    with atomic(output) as temporary:
        save_file(tensors, temporary, said)
    return f"{output}: sha256:{file_digest(output)}, {output.stat().st_size:,} bytes"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m docs.prior", description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("worlds", "curve", "ship"))
    parser.add_argument("paths", type=Path, nargs="+")
    given = parser.parse_args()
    print({"worlds": distances, "curve": curve, "ship": ship}[given.what](*given.paths))
