"""The plan beside the machine that is there: seconds and memory of a preset's work. `python -m bench.hours --help`.

`piti plan` reckons hours from counted kernels and data sheets. Here the real objectives train and the real samplers
draw, with random weights, on random pictures that lie on the device already: what reading them takes is in no column.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import yaml
from safetensors.torch import save_file

from bench.measure import alternate
from bench.table import aligned, as_csv, description
from piti.cards import SampleCard, TrainCard
from piti.conditions import CONDITIONS
from piti.config import load
from piti.count import __main__ as count
from piti.devices import Place, place
from piti.networks.piti import PITI
from piti.plan import Artefact, Plan, resolve
from piti.plan.cost import Costs, is_prior, kind_of_step, precision_of, size
from piti.plan.gpu import DEFAULT, GPUS
from piti.plan.memory import CONTEXT, GIB, peak
from piti.sample.diffusion import Sampler
from piti.store.files import write_text
from piti.train.batches import Files
from piti.train.row import Work, objective
from piti.train.run import Run

REPEAT, STEPS = 3, 2  # the median of so many times; each of so many steps of a training, which do not wait for the last
PASSES = "5"  # steps of a sampler, which all take as long
HEADINGS = ("work", "precision", "compiled", "images", "s", "s planned", "ratio", "GiB", "reserved", "GiB planned")
WIDTHS = 40, 12


@dataclass(frozen=True)
class Line:
    """One line of the table: of a training a step, of a sampler PASSES steps for a batch."""

    work: str
    precision: str
    compiled: bool
    images: int
    seconds: float
    planned: float
    allocated: float  # GiB at the peak; 0 on a CPU
    reserved: float  # likewise, by torch's allocator
    counted: float  # GiB of the plan, without CUDA's context

    def cells(self) -> list[str]:
        numbers = (self.seconds, self.planned, self.seconds / self.planned, self.allocated, self.reserved, self.counted)
        named = [self.work, self.precision, "yes" if self.compiled else "no", str(self.images)]
        return named + [format(number, ".3g") for number in numbers]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.hours", description=__doc__)
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--gpu", choices=GPUS, help="whose data sheet to compare with (default: by its name)")
    parser.add_argument("--work", nargs="+", default=[], help="beginnings of names, as train:spade (default: all)")
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="instead of each row's own")
    parser.add_argument("--machine", type=yaml.safe_load, default={}, help="as '{micro_batch: 64, compile: true}'")
    parser.add_argument("--output", default="results/hours.csv", help="the table as CSV")
    options = parser.parse_args(arguments)

    said = {"preset": options.preset, "machine": options.machine}
    plan = resolve(load(said, count.CONFIG))[0]
    with place() as here, tempfile.TemporaryDirectory() as folder:
        machine = description(here.device)
        gpu = options.gpu or next((name for name in GPUS if name.split("-")[0] in machine), DEFAULT)
        costs, lines, known = Costs(plan, gpu), [], {}
        print(f"on {machine}, planned for {gpu}\n" + aligned(HEADINGS, *WIDTHS), flush=True)
        for artefact in distinct(plan, options.work, options.precision):
            lines.append(line(costs, artefact, here, Path(folder)))
            print(aligned(lines[-1].cells(), *WIDTHS), flush=True)
            if isinstance(artefact.card, TrainCard):
                known[kind_of_step(artefact.card, costs.machine.compile)] = lines[-1].seconds / lines[-1].images
        write_text(options.output, as_csv(HEADINGS, (line.cells() for line in lines), machine))
    if not (options.work or options.precision):
        planned, costs = costs.total(costs.by_path), Costs(plan, gpu)
        costs.measured = known
        went = costs.total(costs.by_path)
        print(f"all of it on one: planned {planned:,.1f} h, as these trainings went {went:,.1f} h")


def distinct(plan: Plan, beginnings: list[str], precision: str | None) -> Iterator[Artefact]:
    """Of each size and precision of training and sampler one, by what it is called in the plan."""
    seen = set()
    for artefact in plan.artefacts.values():
        if isinstance(artefact.card, TrainCard | SampleCard) and not is_prior(artefact.card):
            named = f"{artefact.step}:{artefact.name}"
            changed = replace(artefact, card=in_precision(artefact.card, precision))
            key = size(changed.card), precision_of(changed.card)
            if key not in seen and (not beginnings or named.startswith(tuple(beginnings))):
                seen.add(key)
                yield changed


def in_precision(card: TrainCard | SampleCard, precision: str | None) -> TrainCard | SampleCard:
    if precision and isinstance(card, TrainCard):
        return replace(card, training=replace(card.training, precision=precision))
    return replace(card, sampling=replace(card.sampling, precision=precision)) if precision else card


def line(costs: Costs, artefact: Artefact, here: Place, folder: Path) -> Line:
    """Measure one."""
    trains = isinstance(artefact.card, TrainCard)
    cuda = here.device.type == "cuda"
    if cuda:
        torch.cuda.empty_cache()
    if trains:
        card, images = artefact.card, artefact.card.training.batch
        planned = costs.seconds_an_image(card, costs.machine.compile) * images
        way = training(card, costs, here, folder)
    else:
        few = replace(artefact.card.sampling, base_respacing=PASSES, upsampler_respacing=PASSES)
        card, images = replace(artefact.card, sampling=few), costs.machine.sample_batch
        planned = costs.seconds_a_picture(replace(artefact, card=card)) * images
        way = sampling(card, condition_of(artefact), images, here, folder)
    for _ in range(2):  # cuDNN tries its kernels, torch compiles
        way()
    if cuda:
        torch.cuda.empty_cache()  # what it tried them in
        torch.cuda.reset_peak_memory_stats()
    calls = STEPS if trains else 1
    (times,) = alternate([lambda: [way() for _ in range(calls)]], here.device, REPEAT)
    used = [torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()] if cuda else [0, 0]
    counted = peak(card, costs.machine).gib or CONTEXT
    return Line(
        f"{artefact.step}:{artefact.name}",
        precision_of(card),
        costs.machine.compile and trains,
        images,
        sorted(times)[REPEAT // 2] / calls,
        planned,
        *(number / GIB for number in used),
        counted - CONTEXT,
    )


def training(card: TrainCard, costs: Costs, here: Place, folder: Path) -> Callable[[], None]:
    """A step of the card's training, all of its losses in it."""
    machine = costs.machine
    card = replace(card, training=replace(card.training, image_losses_from=0))
    files = Files(None, None, None, vgg(card, folder) if card.perceptual else None, None)
    work = Work(machine.micro_batch, 0, machine.compile, machine.log_every, machine.save_minutes, 0)
    with here.device if not card.baseline else torch.device("cpu"):  # a generator of the CPU draws its first weights
        made = objective(card, files, work, here)
    run = Run(made, here, folder, card.identity, card.training.steps, card.training.ema_rate)
    with here.device:
        batch = count.batch(card)
    for tensor in batch.values():
        tensor.uniform_(-1, 1) if tensor.is_floating_point() else tensor.random_(1, max(card.num_classes, 2))
    return lambda: run.advance(batch)


def sampling(card: SampleCard, kind: str, images: int, here: Place, folder: Path) -> Callable[[], object]:
    """A batch of pictures."""
    weights = folder / f"{size(card)}.safetensors"
    with here.device:
        model = PITI(card.unet, card.encoder.with_channels(CONDITIONS[kind].channels))
        save_file(model.state_dict(), weights)
        condition = torch.rand(images, CONDITIONS[kind].channels, *[card.encoder.resolution] * 2) * 2 - 1
        low_res = torch.rand(images, 3, *[card.resolution // 4] * 2) * 2 - 1 if card.low_res else None
    sampler = Sampler(card, weights, kind, here.device)
    return lambda: sampler([str(i) for i in range(images)], condition, low_res)


def condition_of(artefact: Artefact) -> str:
    """Of a sampler's row its kind of condition: the task is the last word of its name."""
    return next(kind for kind in CONDITIONS if kind in artefact.name.split("-")[1])


def vgg(card: TrainCard, folder: Path) -> Path:
    """Random weights of the network that the perceptual loss compares in."""
    path = folder / f"{card.perceptual_format}.safetensors"
    save_file({name: tensor for name, tensor in count.vgg(card).items() if name.startswith("features.")}, path)
    return path


if __name__ == "__main__":
    main()
