"""A report of a few artefacts, for tests: tables of one trained and one missing cell, claims, figures."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from piti.cards import Cell, ClaimCard, ClaimsCard, Ordering, ReportCard, TableCard
from piti.cards.base import digest, to_dict
from piti.report.html import make_report
from piti.report.tables import make_table
from piti.store.files import write_failure, write_json

DEVIATIONS = Path(__file__).parents[3] / "DEVIATIONS.md"


def made(path: Path, step: str, card: dict, inputs: dict | None = None, code: str = "new", **more) -> Path:
    """An artefact's card beside it, as its step leaves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    environment = {"python": "3", "platform": "p", "libraries": {"torch": "2"}, "commit": None, "dirty": None}
    files = {key: [str(p) for p in paths] for key, paths in (inputs or {}).items()}
    about = {"step": step, "digest": path.parts[-2], "card": card, "inputs": files}
    write_json(path.with_name("card.json"), about | {"made": {"code": code, "seconds": 1.0, **environment, **more}})
    return path


def score(value: float) -> dict:
    extractor = {"name": "clip", "layer": "last"}
    return {
        "value": value,
        "pseudo_values": [value] * 20,
        "sizes": [5] * 20,
        "kid": 0.0123,
        "n": 24,
        "extractor": extractor,
        "reference": "",
    }


def page(
    folder: Path,
    label: str = "Ours",
    code: str = "new",
    diverged: bool = False,
    remarks: Sequence[str] = (),
    comparable: bool = False,
    tables: Sequence[str] = ("table1",),
    figures: Sequence[str] = (),
    claims: Sequence[str] = ("Ours is better",),
    difference: float = -0.0123,
) -> Path:
    """The report in `folder`. label: what stands wherever the configuration or a user may say something."""
    packed = made(folder / "shards/a/eeeeeeeeee/index.json", "pack", {})
    write_json(packed, {"attributes": {"remarks": remarks} if remarks else {}})
    model = made(
        folder / "models/row-task/aaaaaaaaaa/weights.safetensors", "train", {"seed": 0}, {"images": [packed]}, code
    )
    model.with_name("curve.csv").write_text("step,mse\n1,0.5\n2,0.25\n")
    scored = made(folder / "scores/row-task/bbbbbbbbbb/score.json", "score", {"seed": 0}, {"fake": [model]})
    write_json(scored, score(12.34))
    if diverged:
        write_failure([model, scored], "diverged: mse is not finite at step 7")
    about = {"title": label, "preset": "p", "comparable": comparable, "note": label}
    files = [
        table(folder, TableCard(name=name, rows=(label,), columns=("A", "B"), cells=cells(label), **about), scored)
        for name in tables
    ]
    one = {
        "better": label,
        "than": "SPADE",
        "task": "A",
        "measure": label,
        "verdict": "held",
        "remark": "",
        "value": difference,
    }
    one |= {"interval": [-0.0231, -0.0014], "reason": "", "seeds": 1, "n": 24}
    orderings = [one, one | {"verdict": "not run", "reason": "left out"}]
    said = {"better": label, "than": "SPADE", "task": "A", "measure": label}
    planned = (
        Ordering(**said, better_scores=("b" * 10,), than_scores=("b" * 10,)),
        Ordering(**said, reason="left out"),
    )
    asked = ClaimsCard(claims=tuple(ClaimCard(name="c", text=text, orderings=planned) for text in claims))
    scores = {side: [scored] * len(claims) for side in ("better", "than")}
    compared = made(folder / "claims/claims/cccccccccc/claims.json", "compare_scores", to_dict(asked), scores)
    write_json(
        compared, {"claims": [{"name": "c", "text": c, "verdict": "held", "orderings": orderings} for c in claims]}
    )
    drawn = [figure(folder, name, label, model) for name in figures]
    digests = {"tables": tuple(file.parts[-2] for file in files), "figures": tuple(file.parts[-2] for file in drawn)}
    now = {"train": "new", "score": "new"}
    card = ReportCard(**about, **digests, claims="cccccccccc", deviations="dddddddddd", code_now=now)
    make_report(card, folder / "report.html", compared, DEVIATIONS, files, drawn)
    return folder / "report.html"


def cells(label: str) -> tuple[Cell, Cell]:
    """One with a score, and one without."""
    measured = Cell(row=label, column="A", paper="8.9", scores=("bbbbbbbbbb",), seeds=(0,))
    return measured, Cell(row=label, column="B", reason="no source configured")


def table(folder: Path, card: TableCard, scored: Path) -> Path:
    file = folder / f"tables/{card.name}/{digest(card)}/table.csv"
    made(file, "make_table", to_dict(card), {"scores": [scored]})
    make_table(card, file, [scored])
    return file


def figure(folder: Path, name: str, title: str, model: Path) -> Path:
    """A wide picture with something to see."""
    file = made(
        folder / f"figures/{name}/{name:0>10}/figure.png", "make_figure", {"title": title}, {"samples": [model]}
    )
    Image.radial_gradient("L").resize((2000, 800)).convert("RGB").save(file)
    return file
