"""Image editing (paper appendix B): a photograph inverted by DDIM under its own label map, drawn under an edited one.

The photograph at the base model's resolution is what is inverted, for its content is what is to be kept. What
reverses it is deterministic DDIM from the same noise: the reconstruction under its own map, the edited picture under
the edited map.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from piti.cards import Edit, EditsCard
from piti.data import edits, shards
from piti.data.resize import shrink
from piti.data.shards import Shards
from piti.diffusion import samplers
from piti.diffusion.quantise import truncate_to_8_bit
from piti.sample.diffusion import Sampler
from piti.sample.shards import to_levels, to_range
from piti.store.files import InputError

AREA = (0.02, 0.4)  # fraction of the picture that a segment picked by seed takes, at least and at most


class Edited(NamedTuple):
    """An image and what becomes of its label map."""

    image: str
    before: np.ndarray  # uint8 S x S
    after: np.ndarray


def edit_samples(
    card: EditsCard,
    output: Path,
    model: Path,
    upsampler: Path,
    conditions: Path,
    real_images: Path,
    device: torch.device,
) -> None:
    """Write a shard of pictures EDIT/KIND: original, condition, reconstruction, edited_condition and edited."""
    stored = Shards(conditions)
    chosen = dict(choose(card.edits, stored, card.seed))
    base, large = (Sampler(c, w, stored.kind, device) for c, w in ((card.base, model), (card.upsampler, upsampler)))
    real_images, ids = Shards(real_images, "images"), [edited.image for edited in chosen.values()]
    originals = real_images[real_images.rows(ids)]
    small = shrink(originals, card.base.resolution)
    before, after = (np.stack([getattr(edited, name) for edited in chosen.values()]) for name in ("before", "after"))

    @torch.inference_mode()
    def drawn(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the latent becomes under label maps: base pictures and large ones."""
        x = samplers.ddim(base.denoiser(torch.from_numpy(base.encode(labels))), base.diffusion, latent)
        low_res = to_levels(truncate_to_8_bit(x))
        return low_res, large.draw(ids, labels, low_res)

    own = base.denoiser(torch.from_numpy(base.encode(before)))
    latent = samplers.ddim_inversion(own, base.diffusion, to_range(small).to(device))
    (returned, reconstruction), (low_res, edited) = drawn(before), drawn(after)
    made = {
        "original": originals,
        "condition": stored.form.paint(before)[0],
        "reconstruction": reconstruction,
        "edited_condition": stored.form.paint(after)[0],
        "edited": edited,
    }
    pictures = {f"{name}/{kind}": row for kind, rows in made.items() for name, row in zip(chosen, rows, strict=True)}
    shards.write(
        output.parent,
        "images",
        list(pictures),
        lambda names: np.stack([pictures[name] for name in names]),
        len(pictures),
        card.upsampler.resolution,
        errors(list(chosen), small, returned, low_res, before == after),
    )


def choose(wanted: dict[str, Edit], stored: Shards, seed: int) -> Iterator[tuple[str, Edited]]:
    """For each edit the image that it names, else the first one that fits, in an order drawn by seed; none twice."""
    order = [stored.ids[place] for place in np.random.default_rng(seed).permutation(len(stored))]
    left = [i for i in order if i not in {named for edit in wanted.values() for named in (edit.image, edit.other)}]

    def labels_of(image: str) -> np.ndarray:
        return stored[int(stored.rows([image])[0])]

    def find(what: str, fits) -> str:
        for image in left:
            if fits(labels_of(image)):
                left.remove(image)
                return image
        raise InputError(f"{stored.index}: found no image {what}, expected one for each edit")

    for name, edit in wanted.items():
        named = edit.other if edit.operation == "paste" else edit.image
        with_it = f"whose largest segment of class {edit.label} takes {AREA[0]:.0%} to {AREA[1]:.0%} ({name})"
        source = named or find(with_it, lambda m, e=edit: AREA[0] <= edits.segment(m, e.label).mean() <= AREA[1])
        region, image = edits.segment(labels_of(source), edit.label), source
        if not region.any():
            raise InputError(f"{name}: image {source}: found no class {edit.label}, expected a segment of it")
        if edit.operation == "paste":
            image = edit.image or find(f"without class {edit.label} ({name})", lambda m, e=edit: e.label not in m)
        before = labels_of(image)
        yield name, Edited(image, before, edited_labels(edit, before, region))


def edited_labels(edit: Edit, labels: np.ndarray, region: np.ndarray) -> np.ndarray:
    """The label map after the edit, uint8 S x S. region: bool S x S."""
    match edit.operation:
        case "paste":
            return edits.paste(labels, region, edit.label)
        case "change":
            return edits.paste(labels, region, edit.to)
        case "remove":
            return edits.remove(labels, region)
        case "grow":
            return edits.grow(labels, region, edit.by)


def errors(
    names: list[str], originals: np.ndarray, returned: np.ndarray, edited: np.ndarray, kept: np.ndarray
) -> dict[str, object]:
    """Captions and footer: how well base pictures return, and the unedited part of edited ones.

    originals, returned, edited: uint8 N x s x s x 3. kept: where the label map stays, bool N x S x S.
    """
    count, resolution = originals.shape[:2]
    cells = kept.reshape(count, resolution, kept.shape[1] // resolution, resolution, -1).all(axis=(2, 4))  # N x s x s
    squared = [((made / 255 - originals / 255) ** 2).mean(axis=-1) for made in (returned, edited)]
    whole, part = squared[0].mean(axis=(1, 2)), [row[cell].mean() for row, cell in zip(squared[1], cells, strict=True)]
    captions = {f"{name}/original": name.replace("_", " ") for name in names}
    captions |= {
        f"{name}/reconstruction": f"MSE {mse:.2g}, {psnr(mse)}" for name, mse in zip(names, whole, strict=True)
    }
    captions |= {f"{name}/edited": f"unedited part: {psnr(mse)}" for name, mse in zip(names, part, strict=True)}
    footer = (
        f"Mean over n = {count} photographs at {resolution} px, values in [0, 1]: "
        f"reconstruction MSE {whole.mean():.2g} ({psnr(whole.mean())}), "
        f"unedited part of the edited pictures {np.mean(part):.2g} ({psnr(np.mean(part))})"
    )
    return {"captions": captions, "footer": footer}


def psnr(mse: float) -> str:
    """Peak signal-to-noise ratio of values in [0, 1]."""
    return f"{-10 * np.log10(max(mse, 1e-10)):.1f} dB"
