"""The report: tables, claims, figures, curves and the chain behind each number, in one self-contained page."""

import base64
import csv
import html
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from PIL import Image

from piti.cards import ClaimsCard, ReportCard
from piti.cards.base import from_dict
from piti.report import curves
from piti.report.tables import NOT_CONVERGED, shown_value
from piti.report.tabular import NOT_AS_IN_THE_PAPER, PAPERS_OWN, papers_own
from piti.store.chain import Link, ancestors, fields, read_chain
from piti.store.files import InputError, read_json, write_text
from piti.units import decimals, number, span

TEMPLATE = Path(__file__).with_name("report.html.j2")
WIDTH = 1600  # px; figures are shown no wider
FACTS = {
    "extractor": "measured by",
    "n": "n =",
    "seeds": "trained with seed",
    "comparable": "comparable with the paper:",
}
OF_THE_PAPER = re.compile(r"table([1245]|3[ab])")  # names of its tables; all others are ours


def make_report(
    card: ReportCard,
    output: Path,
    claims: Path,
    deviations: Path,
    tables: Sequence[Path],
    figures: Sequence[Path],
) -> None:
    """Write `output`. All it says about how a number was made comes from the card.json files on the way to it."""
    links: dict[str, Link] = {}
    shown = {
        "card": card,
        "tables": sorted(
            (show_table(shown_link(path, links), links) for path in tables), key=lambda t: not t["papers"]
        ),
        "papers_own": PAPERS_OWN,
        "claims": show_claims(compared := shown_link(claims, links), links),
        "claims_link": compared,
        "figures": [show_figure(shown_link(path, links)) for path in figures],
        "assumed": list(assumed(deviations)),
    }
    cards = (link for link in links.values() if link.step == "train")  # behind a score that came alone nothing else is
    trainings = [link for link in cards if Path(link.path).with_name("curve.csv").exists()]
    shown |= {
        "convergence": (seen := curves.convergence(trainings, links, card.rows)) and data_uri(seen, "png"),
        "curves": {
            row: data_uri(curves.draw(some), "png") for row, some in curves.by_row(trainings, card.rows).items()
        },
        "links": sorted((link for link in links.values() if link.step), key=lambda link: (link.step, link.name)),
        "old": [link for link in links.values() if link.step and stale(card, link)],
        "failed": [link for link in links.values() if link.failed],
        "remarks": remarks(links.values()),
        "given": sorted(link.path for link in links.values() if not link.step),
        "environments": environments(links.values()),
        "costs": costs(shown["tables"], links),
        "by_step": by_step(links.values()),
        "ancestors": lambda link: ancestors(link, links),
        "parents": lambda link: [links[path] for path in link.parents],
        "fields": fields,
        "codes": codes,
        "decimals": decimals,
        "stale": lambda link: stale(card, link),
        "out_of_date": lambda found: any(stale(card, link) for one in found for link in ancestors(one, links)),
    }
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"code": code, "label": label, "span": span}
    write_text(output, environment.from_string(TEMPLATE.read_text()).render(shown))


def label(name: str) -> str:
    """A table's or figure's name as people write it: Table 3b, Metric check."""
    words = re.sub(r"(?<=[a-z])(?=\d)", " ", name).replace("_", " ")
    return words[:1].upper() + words[1:]


def stale(card: ReportCard, link: Link) -> bool:
    """Whether the code has changed since it made an artefact, or a piece of it. Of a download its checksum decides."""
    made_by = {piece.get("code") for piece in link.made.get("history", ())} or {link.made.get("code")}
    return link.step in card.code_now and link.step != "download" and made_by != {card.code_now[link.step]}


def codes(link: Link) -> list[str]:
    """Each code that did a part of a training, and which steps: one entry where it was the same throughout."""
    said = []
    for code, group in groupby(link.made.get("history", ()), lambda piece: piece.get("code", "unknown code")):
        pieces = list(group)
        commit = (pieces[0].get("commit") or "unknown")[:10]
        said.append(f"steps {pieces[0].get('from')} to {pieces[-1].get('to')} by {code} (commit {commit})")
    return said


def shown_link(path: Path, links: dict[str, Link]) -> Link:
    """What a step has made for the report to show. Raises InputError where its card.json is missing."""
    link = read_chain(path, links)
    if not link.step:
        raise InputError(f"{path}: found no card.json beside it, expected what its step has written")
    return link


def show_claims(link: Link, links: dict[str, Link]) -> list[dict]:
    """The claims with their verdicts, each ordering with the scores behind it."""
    better, than = (iter(link.inputs.get(side, ())) for side in ("better", "than"))
    claims = read_json(link.path, "claims")["claims"]
    asked = from_dict(ClaimsCard, link.card).claims  # with the defaults, which a card.json leaves out
    for claim, planned in zip(claims, asked, strict=True):
        for one, ordering in zip(claim["orderings"], planned.orderings, strict=True):
            one["scores"] = [links[next(files)] for _ in ordering.better_scores for files in (better, than)]
            one["trained"] = one.get("seeds", 0) > 1 or trained(one["scores"], links)
        claim["scores"] = [score for one in claim["orderings"] for score in one["scores"]]
    return claims


# -- tables and figures ----------------------------------------------------------------------------------------------


def show_table(link: Link, links: dict[str, Link]) -> dict:
    """A table of scores with its cells in a grid; any other table as its CSV says."""
    name = link.card["name"]
    shown = {"link": link, "name": name, "title": link.card["title"], "papers": bool(OF_THE_PAPER.fullmatch(name))}
    shown |= {"facts": [], "notes": [], "apart": ([], [])}
    if "cells" not in link.card:
        head, *rows = (row[:-3] for row in csv.reader(io.StringIO(Path(link.path).read_text())))  # preset, note, n
        return shown | {"columns": head, "rows": [(row[0], row[1:]) for row in rows], "plain": True}
    files, cells = iter(link.inputs.get("scores", [])), {}
    long = read_csv(Path(link.path).with_name("long.csv"))
    for cell, row in zip(link.card["cells"], long, strict=True):
        found = [links[next(files)] for _ in cell.get("scores", [])]
        cells[row["row"], row["column"]] = show_cell(row) | {"scores": found, "trained": trained(found, links)}
    made = [row for row in long if row["value"]]
    head, apart = papers_own(long)
    notes = [f"{row['row']}: {row['selected']}" for row in long if row.get("selected")]
    notes += [NOT_CONVERGED[row["converged"]] for row in long if row["converged"]]
    notes += [f"{row['column']}: {NOT_AS_IN_THE_PAPER} ({row['substitution']})" for row in long if row["substitution"]]
    return shown | {
        "columns": ["Method", *link.card["columns"]],
        "rows": [(row, [cells[row, column] for column in link.card["columns"]]) for row in link.card["rows"]],
        "plain": False,
        "facts": [
            f"{said} {', '.join(dict.fromkeys(row[key] for row in made))}" for key, said in FACTS.items() if made
        ],
        "notes": list(dict.fromkeys(notes)),
        "apart": (head, [(row, numbers) for row, *numbers in apart]),
    }


def show_cell(row: dict[str, str]) -> dict:
    """Our number and its interval, from a line of the long table; the paper's and the difference if they compare."""
    paper = row["paper"] if row["comparable"] == "yes" else "-"
    if not row["value"]:
        return {"value": "", "reason": row["reason"] or "-", "paper": paper}
    value = float(row["value"])
    digits = decimals(value)
    difference = f"{value - float(paper):+z.{digits}f}" if re.fullmatch(r"\d+(\.\d+)?", paper) else ""
    low, high = (f"{float(row[end]):z.{digits}f}" for end in ("low", "high"))
    kid = number(float(row["kid"])) if row["kid"] else ""  # alignment has none
    shown = shown_value(row | {"value": value})
    return {"value": shown, "paper": paper, "difference": difference, "interval": f"{low} to {high}", "kid": kid}


def show_figure(link: Link) -> dict:
    """A figure as people see it on a page: no wider than a screen."""
    found = {"link": link, "name": link.name, "title": link.card["title"], "picture": ""}
    if link.failed:
        return found
    with Image.open(link.path) as image:
        picture = image.convert("RGB")
    picture.thumbnail((WIDTH, 100 * WIDTH))
    encoded = io.BytesIO()
    picture.save(encoded, format="webp", quality=88)
    return found | {"picture": data_uri(encoded.getvalue(), "webp"), "width": picture.width, "height": picture.height}


def data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as handle:
        return [row | {"n": row["n"].removesuffix(".0")} for row in csv.DictReader(handle)]


# -- what else there is to know --------------------------------------------------------------------------------------


def assumed(path: Path) -> Iterator[list[str]]:
    """The rows of the table below "## Assumed" in DEVIATIONS.md: what, key, reason."""
    _, _, section = path.read_text().partition("\n## Assumed\n")
    rows = [line.strip(" |").split(" | ") for line in section.split("\n## ")[0].splitlines() if line.startswith("|")]
    if len(rows) < 3:
        raise InputError(f"{path}: Assumed: found no table, expected what, key and reason")
    yield from rows[2:]  # below the heading and its rule


def environments(links: Iterable[Link]) -> Counter[tuple[str, ...]]:
    """(Python, libraries, system, commit) -> number of artefacts made there."""
    found = Counter()
    for link in links:
        if link.step:
            made = link.made
            libraries = ", ".join(f"{name} {version}" for name, version in made["libraries"].items() if version)
            commit = (made["commit"] or "unknown")[:10] + (", edited since" if made["dirty"] else "")
            found[made["python"], libraries, made["platform"], commit] += 1
    return found


def remarks(links: Iterable[Link]) -> list[str]:
    """What packing had to say of data and pictures: other counts than declared, files left out or damaged."""
    found = [
        read_json(link.path)["attributes"]
        for link in links
        if link.step in ("pack", "gather_pictures") and not link.failed
    ]
    return sorted({remark for attributes in found for remark in attributes.get("remarks", [])})


class Cost(NamedTuple):
    """What some artefacts took."""

    trainings: int
    gpu_hours: float  # hours of trainings times GPUs
    gpus: str  # their names
    hours: float  # of all steps, trainings too


def costs(tables: Sequence[dict], links: dict[str, Link]) -> dict[str, Cost]:
    """Of each table all that it was made from, whatever others share; and of the whole page, everything once."""
    found = {table["name"]: cost(ancestors(table["link"], links)) for table in tables}
    return found | {"the whole page": cost(links.values())}


def cost(links: Iterable[Link]) -> Cost:
    """The cost of these artefacts, as their cards have recorded it."""
    made = [link for link in links if link.step]
    trainings = [link for link in made if link.step == "train"]
    devices = {piece["device"] for link in trainings for piece in link.made.get("history", ())} - {"cpu"}
    gpu_seconds = sum(link.made.get("gpu_seconds", 0) for link in trainings)
    return Cost(len(trainings), gpu_seconds / 3600, ", ".join(sorted(devices)), sum(map(seconds, made)) / 3600)


def trained(scores: Iterable[Link], links: dict[str, Link]) -> str:
    """How long the models behind these scores were trained here, each once; "" where there are none.

    Without the networks that only measure.
    """
    behind = {one.path: one for score in scores for one in ancestors(score, links) if one.step == "train"}
    models = [one for one in behind.values() if not one.card.get("estimator")]
    hours = sum(map(seconds, models)) / 3600
    return span(hours) if models else ""


def seconds(link: Link) -> float:
    """What an artefact took: the process that finished it, and those that began a training before it."""
    return link.made["seconds"] + sum(piece["seconds"] for piece in link.made.get("history", ())[:-1])


def by_step(links: Iterable[Link]) -> dict[str, tuple[int, float]]:
    """Step -> number of artefacts and their hours."""
    found = defaultdict(list)
    for link in links:
        if link.step:
            found[link.step].append(seconds(link))
    return {step: (len(each), sum(each) / 3600) for step, each in sorted(found.items())}


def code(text: str) -> Markup:
    """Markdown's `code` as HTML; everything else is escaped."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text)))
