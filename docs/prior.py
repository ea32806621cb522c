"""The small prior's numbers: how far the drawn worlds lie from the task's, and how good the prior became by when.

    python -m docs.prior worlds WEIGHTS
    python -m docs.prior curve WEIGHTS KEPT
    python -m docs.prior gain WEIGHTS results/mini/tables/distance/DIGEST/table.csv
    python -m docs.prior ship KEPT/STEP.safetensors weights/prior_base.safetensors

from the root of the repository, with src/ on the path. WEIGHTS: those of EfficientNet-Lite0, as `convert_weights`
leaves them (results/mini/weights/efficientnet_lite0/DIGEST/weights.safetensors). KEPT: the EMA weights
that `make prior` leaves on the way, results/prior/models/prior_base/checkpoint-DIGEST/ema. Prints tables in Markdown;
`gain` draws docs/prior_gain.png too, of the table that docs/distance.yaml makes.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot as plt
from safetensors.torch import save_file

from piti.cards import TrainCard
from piti.cards.base import dumps
from piti.config import load
from piti.data.synthetic import SyntheticBatches
from piti.diffusion.gaussian import GaussianDiffusion
from piti.diffusion.samplers import ancestral
from piti.evaluate import extract, frechet
from piti.evaluate.score import difference
from piti.networks.glide import GLIDE
from piti.networks.weights import load as load_weights
from piti.networks.weights import read, strip_text
from piti.plan import Plan
from piti.plan.models import trained
from piti.scenes import render
from piti.scenes.styles import STYLES
from piti.scenes.write import developed
from piti.store.files import atomic, file_digest, read_json
from piti.train.batches import low_res

HERE = Path(__file__).parent
RESOLUTION, COUNT, SETS, UNSEEN = 32, 1024, 3, 10**6  # a scene after the millionth is none of the training's


def worlds(weights: Path) -> str:
    """How far each world lies from the task's."""
    lines = [f"| {s} | {spread(quarters)} | {spread(whole)} |" for s, (quarters, whole) in distances(weights).items()]
    return "\n".join(["| world | FD from the task, n = 256 | n = 1024 |", "|---|---|---|", *lines])


def distances(weights: Path) -> dict[str, tuple[list[float], list[float]]]:
    """FD of each world from the task's photographs, as mini scores pictures: of the quarters of SETS independent pairs
    of sets of COUNT, and of these pairs."""
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
    return found


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


def gain(weights: Path, table: Path) -> str:
    """What each prior gains over training from scratch, against how far its world lies from the task's.

    Of the rows that the table has numbers for; from scratch is the last.
    """
    about = read_json(table.with_name("card.json"))
    card, files = about["card"], map(read_json, about["inputs"]["scores"])
    scores = {(cell["row"], cell["column"]): next(files) for cell in card["cells"] if cell.get("scores")}
    columns, (*priors, scratch) = card["columns"], [row for row in card["rows"] if (row, card["columns"][0]) in scores]
    far = {f"prior: {style}": float(np.mean(whole)) for style, (_, whole) in distances(weights).items()}
    lines = [f"| | FD(world, task) | {' | '.join(columns)} |", "|---|" + "---|" * (len(columns) + 1)]
    figure, axes = plt.subplots(1, len(columns), figsize=(3.2 * len(columns), 2.8), layout="constrained")
    for axis, column in zip(axes, columns, strict=True):
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set_title(column, fontsize=9)
        axis.set(xlabel="FD of the prior's world from the task's", ylabel="gain over from scratch")
        axis.set(xlim=(0, 1.4 * max(map(far.get, priors))))
    for number, row in enumerate(priors):
        cells = []
        for axis, column in zip(axes, columns, strict=True):
            ours = scores[row, column]
            gained, low, high = better(ours, scores[scratch, column])
            axis.errorbar(far[row], gained, [[gained - low], [high - gained]], fmt="o", capsize=3)
            world = row.removeprefix("prior: ")
            axis.annotate(world, (far[row], 0), (0, 4), textcoords="offset points", ha="center", fontsize=8)
            said = f"{ours['value']:.1f}, gain {gained:.1f} ({low:.1f} to {high:.1f})"
            if number:
                less, low, high = better(scores[priors[number - 1], column], ours)
                said += f", {less:.1f} ({low:.1f} to {high:.1f}) behind the row above"
            cells.append(said)
        lines.append(f"| {row} | {far[row]:.0f} | {' | '.join(cells)} |")
    figure.savefig(HERE / "prior_gain.png", dpi=110, metadata={"Software": None})
    values = (f"{scores[scratch, column]['value']:.1f}" for column in columns)
    return "\n".join([*lines, f"| {scratch} | | {' | '.join(values)} |"])


def better(one: dict, other: dict) -> tuple[float, float, float]:
    """By how much one score is better than another, and the ends of the 95 % interval."""
    found = difference(one, other) if one["higher_is_better"] else difference(other, one)
    return found.value, *found.interval()


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
    parser = argparse.ArgumentParser(
        prog="python -m docs.prior", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("worlds", "curve", "gain", "ship"))
    parser.add_argument("paths", type=Path, nargs="+")
    given = parser.parse_args()
    print({"worlds": worlds, "curve": curve, "gain": gain, "ship": ship}[given.what](*given.paths))
