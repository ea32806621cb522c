"""What a job takes of its node at most: memory, the part of it in /dev/shm, and CPUs; estimates from its card.

Of a job that computes, on a GPU: on a CPU its network, gradients and optimizer lie in this memory too. What was
measured stands beside each constant; CUDA's libraries are assumed. Gigabytes are 10**9 bytes.
"""

from dataclasses import dataclass

from piti.cards import FeaturesCard, PackCard, ScoreCard, TrainCard, WeightsCard
from piti.cards.train import kind_of
from piti.conditions import stored
from piti.plan.core import Artefact
from piti.plan.cost import Costs
from piti.plan.disk import checkpoint, expected, extracted
from piti.plan.jobs import asked
from piti.plan.steps import STEPS

GB = 1e9
PYTHON = 0.7 * GB  # an interpreter with torch; measured: 0.5
CUDA = 3 * GB  # its libraries, *assumed*
LOADER = 0.6 * GB  # a loading process, beside its batches
PREFETCHED = 2  # batches that torch has a loading process make ahead
PICTURES = 0.5 * GB  # of work on pictures: the largest that is read has 80 million pixels
OF_RECORD = 4_000  # bytes of a file that is listed; measured: 1,800
OF_THINGS = 13_000  # bytes of a photograph's instances; measured: 1.5 GB for COCO's 118,287
NETWORKS = ("init", "perceptual", "model", "upsampler", "weights", "network")  # inputs that hold them


@dataclass(frozen=True)
class Need:
    """What one job takes of one node."""

    memory: float  # bytes; what lies in /dev/shm is part of it
    shm: float  # bytes
    cpus: int


def need(costs: Costs, artefact: Artefact, processes: int = 1) -> Need:
    """At most. processes: of a training, one for each GPU of the node; all of them share the batch."""
    card, step, machine = artefact.card, STEPS[artefact.step], costs.machine
    if isinstance(card, TrainCard):
        batches = machine.workers * PREFETCHED * batch(card)
        each = PYTHON + CUDA + 2 * networks(costs, artefact) + machine.workers * LOADER
        memory = processes * each + checkpoint(costs, card) + batches + PREFETCHED * batch(card)  # pinned
        return Need(memory, batches, processes * (2 + machine.workers))  # the trainer, and who pins
    memory = PYTHON + PICTURES + (CUDA + 2 * networks(costs, artefact) if step.computes else 0)
    cpus = machine.threads
    if isinstance(card, PackCard):
        cpus = asked(costs.config.jobs, artefact.step, artefact.name).get("cpus_per_task", cpus)  # a process each
        memory += (cpus - 1) * PICTURES + card.expected * (OF_RECORD + OF_THINGS * (card.kind == "instances"))
    if artefact.step == "extract":
        memory += extracted(costs, artefact).files * OF_RECORD
    if isinstance(card, WeightsCard | FeaturesCard):
        memory += 2 * (expected(costs, artefact) or 0)
    if isinstance(card, ScoreCard):
        memory += scoring(costs, artefact)
    return Need(memory, 0, cpus)


def networks(costs: Costs, artefact: Artefact) -> int:
    """Bytes of the weights that a job reads, or makes."""
    card, read = artefact.card, [p for key in NETWORKS for p in artefact.inputs.get(key, ())]
    own = [] if artefact.inputs.get("init") or not isinstance(card, TrainCard) else [artefact]
    return sum(weights(costs, each) for each in (*own, *(costs.by_path[path] for path in read)))


def weights(costs: Costs, artefact: Artefact) -> int:
    """Bytes of a network's weights alone."""
    if isinstance(artefact.card, TrainCard):
        return 4 * costs.count(artefact.card).get("weights", 0)
    return expected(costs, artefact) or 0


def batch(card: TrainCard) -> int:
    """Bytes of a training's batch as the loader makes it, in fp32: photographs, conditions, small pictures."""
    large, small = card.image_resolution**2, card.base_resolution**2
    base = card.unet and not kind_of(card.training.kind).upsampler
    channels = getattr(stored(card.condition), "channels", 0)  # captions are short
    return 4 * card.training.batch * (3 * (small if base else large) + channels * large + 3 * small)


def scoring(costs: Costs, artefact: Artefact) -> float:
    """Both sets of features in fp64, once more without a group; and some matrices of their width."""
    real = costs.by_path[artefact.inputs["real"][0]]
    features = expected(costs, real) or 0
    width = features / 4 / max(costs.items(real), 1)
    return 10 * features + 8 * 8 * width**2
