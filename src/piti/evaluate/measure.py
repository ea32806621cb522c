"""A score of alignment: the condition predicted from pictures, against the one that they were made from."""

from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import torch

from piti.cards import AlignmentCard
from piti.conditions import CONDITIONS, geometry
from piti.data.shards import Shards
from piti.evaluate import alignment
from piti.evaluate.measures import MEASURES
from piti.evaluate.score import check_count, jackknifed
from piti.networks import estimator
from piti.networks.hed import HED, edges
from piti.networks.weights import load, read
from piti.progress import progress
from piti.store.files import InputError, file_digest

Reader = Callable[[np.ndarray], np.ndarray]  # pictures, uint8 N×S×S×3 RGB -> what they show


def measure(
    card: AlignmentCard, images: Path, conditions: Path, network: Path | None, batch_size: int, device: torch.device
) -> dict:
    """The score of packed pictures, in the form of `piti.evaluate.score.score`; percent, or degrees.

    More keys: higher_is_better, and images: id -> the picture's own value, null where its condition says nothing.
    Raises InputError where pictures and conditions do not belong together or are fewer than the card's `min_images`.
    """
    measure = MEASURES[card.measure]
    pictures, stored = Shards(images, "images"), Shards(conditions, measure.condition)
    if strangers := sorted(set(pictures.ids) ^ set(stored.ids)):
        raise InputError(f"{images}: ids: found {strangers[0]} here or in the conditions only, expected the same ids")
    ids, compare, total = sorted(stored.ids), resolve_name(measure.compare), resolve_name(measure.total)
    check_count(len(ids), card.min_images)
    look, found = reader(card, network, device), []
    for start in progress(range(0, len(ids), batch_size), desc=card.measure, unit="batch"):
        part = ids[start : start + batch_size]
        found.append(compare(look(pictures[pictures.rows(part)]), stored[stored.rows(part)]))
    found = np.concatenate(found)
    values = [total(found[i : i + 1]) for i in range(len(ids))]
    scored = jackknifed(lambda keep: total(found[keep]), len(ids))
    if not np.isfinite(scored["pseudo_values"]).all():  # without one of its groups nothing is left
        known = int(np.isfinite(values).sum())
        raise InputError(f"{conditions}: found something to follow in {known} of {len(ids)} conditions, expected more")
    return scored | {
        "n": len(ids),
        "extractor": {
            "name": card.estimator.architecture if card.estimator else measure.network,
            "layer": card.measure,
            "weights": file_digest(network) if network else "",
        },
        "reference": card.conditions,
        "higher_is_better": measure.higher_is_better,
        "images": {i: None if np.isnan(value) else value for i, value in zip(ids, values, strict=True)},
    }


# -- predicting ---------------------------------------------------------------------------------------------------


def reader(card: AlignmentCard, weights: Path | None, device: torch.device) -> Reader:
    """What predicts a condition: an estimator; HED the edges, bool N×S×S; or the pictures as they are."""
    measure = MEASURES[card.measure]
    if not weights:
        return lambda images: images
    network = estimator.build(card.estimator) if card.estimator else HED()
    load(network, read(weights), str(weights))
    network.requires_grad_(False).eval().to(device, memory_format=torch.channels_last)
    if not card.estimator:
        return lambda images: edges(network, images, card.hed_resolution or None) > card.threshold

    @torch.inference_mode()
    def look(images: np.ndarray) -> np.ndarray:
        found = network(torch.from_numpy(images).permute(0, 3, 1, 2).to(device).float() / 127.5 - 1)
        return CONDITIONS[measure.condition].predicted(found).cpu().numpy()

    return look


# -- comparing ---------------------------------------------------------------------------------------------------


def labels(found: np.ndarray, stored: np.ndarray) -> np.ndarray:
    return alignment.overlaps(found, stored, num_classes=256)


def sketches(found: np.ndarray, stored: np.ndarray) -> np.ndarray:
    return 100 * alignment.edge_f1(found, stored > 0)


def normals(found: np.ndarray, stored: np.ndarray) -> np.ndarray:
    wanted = geometry.decode(stored)[:, :3].transpose(0, 2, 3, 1)
    return alignment.normal_error(found[:, :3].transpose(0, 2, 3, 1), wanted, np.isfinite(wanted[..., 0]))


def depths(found: np.ndarray, stored: np.ndarray) -> np.ndarray:
    """The logarithm of depth is stored as a fraction of its range; so is its error."""
    wanted = geometry.decode(stored)[:, 3]
    return 100 * alignment.depth_error(np.exp(found[:, 3]), np.exp(wanted), np.isfinite(wanted))


def percent_iou(counts: np.ndarray) -> float:
    return 100 * alignment.mean_iou(counts.sum(axis=0))


def mean(values: np.ndarray) -> float:
    """Over the pictures whose condition says something."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
