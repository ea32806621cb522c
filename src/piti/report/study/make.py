"""Make the user study: a folder to put on any web server or to open from disk, and the key to its pairs."""

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from piti.cards import StudyCard
from piti.data.shards import Shards
from piti.report.study.pairs import Pair, draw
from piti.store.files import atomic_folder, failure, write_json

SITE = Path(__file__).with_name("site")  # the page's own files, the same for every study


def make_study(card: StudyCard, output: Path, ours: Sequence[Path], against: Sequence[Path]) -> None:
    """Write the folder `page`, and `output` beside it: the key, with each pair's secret and the opponents left out.

    ours, against: indices of the samples, of those methods that the card gives a digest.
    """
    found, missing = _pictures(card, [*ours, *against])
    if reason := missing.get(card.ours.method):
        missing = {one.method: reason for one in card.against}
    opponents = [one.method for one in card.against if one.method not in missing]
    pairs = draw(card, opponents, found[card.ours.method].ids) if opponents else []
    with atomic_folder(output.with_name("page")) as page:
        shutil.copytree(SITE, page, dirs_exist_ok=True)
        _write_images(page / "images", pairs, found, card.ours.method)
        _write_lists(page, pairs, card.page)
    key = {pair.token: {"image": pair.image, "over": pair.over, "ours": pair.ours} for pair in pairs}
    write_json(output, {"pairs": key, "left_out": missing})


def _pictures(card: StudyCard, files: Sequence[Path]) -> tuple[dict[str, Shards], dict[str, str]]:
    """The samples of each method that has any, and why the others have none."""
    found, missing, given = {}, {}, iter(files)
    for one in (card.ours, *card.against):
        file = next(given) if one.samples else None
        if file is None:
            missing[one.method] = one.reason
        elif reason := failure(file):
            missing[one.method] = f"failed: {reason}"
        else:
            found[one.method] = Shards(file, "images")
    return found, missing


def _write_images(folder: Path, pairs: Sequence[Pair], found: dict[str, Shards], ours: str) -> None:
    """Both pictures of each pair, named by token and side."""
    folder.mkdir()
    for pair in pairs:
        left, right = (ours, pair.over) if pair.ours == "left" else (pair.over, ours)
        for side, method in (("left", left), ("right", right)):
            picture = found[method][found[method].rows([pair.image])][0]
            Image.fromarray(picture).save(folder / f"{pair.token}-{side}.png")


def _write_lists(page: Path, pairs: Sequence[Pair], version: str) -> None:
    """The tokens, for the page and for Mechanical Turk."""
    tokens = [pair.token for pair in pairs]
    study = json.dumps({"page": version, "pairs": tokens}, indent=1)
    (page / "pairs.js").write_text(f'"use strict";\nconst STUDY = {study};\n')
    with open(page / "amt.csv", "w", newline="") as handle:
        csv.writer(handle).writerows([("pair", "page"), *((token, version) for token in tokens)])
