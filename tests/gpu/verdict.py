"""What is wrong with a training, from the lives of its processes: sentences that name the line."""

from collections import Counter

from tests.gpu.life import SAVED, STEPS, Life

Lives = dict[tuple[int, int], Life]  # (processes, rank) -> life

ACCUSTOMED, AFTERWARDS = f"step {SAVED}", f"step {STEPS}"
STEADY = [f"step {n}" for n in range(2, STEPS + 1)]  # in the first one torch sets itself up
OF_TORCH = "through modules/_functions.py"  # synchronised batch norm looks at how many images each process has
TF32 = ("TF32 in matrix products", "TF32 in convolutions", "cudnn.benchmark")


def problems(lives: Lives) -> list[str]:
    """Every one once, with the processes that have it."""
    where: dict[str, list[str]] = {}
    for (world, rank), life in lives.items():
        who = "alone" if world == 1 else f"{'last' if rank else 'first'} of {world}"
        for text in dict.fromkeys([*life.problems, *in_steps(life), *after_resume(life), *switches(life)]):
            where.setdefault(text, []).append(who)
    for world in {world for world, _ in lives if world > 1}:
        for text in unlike(lives[world, 0], lives[world, world - 1]):
            where.setdefault(text, []).append(f"of {world}")
    return [f"{text} ({', '.join(who)})" for text, who in where.items()]


def in_steps(life: Life) -> list[str]:
    """The host waits for the device, or copies from memory that is not pinned."""
    found = {}
    for step in STEADY:
        for event in ("sync", "event sync", "pageable copy"):
            for line, times in life.in_phase(step, event).items():
                if not line.endswith(OF_TORCH):
                    found.setdefault(f"{event} in a step, {times}: {line}", []).append(step.split()[1])
    return [f"{text} (steps {', '.join(steps)})" for text, steps in found.items()]


def after_resume(life: Life) -> list[str]:
    """A step costs something else than before."""
    found = []
    before, after = life.launches[ACCUSTOMED], life.launches[AFTERWARDS]
    if before and after and before != after:
        found.append(f"after a resume {after} kernels a step instead of {before}")
    was, now = life.formats.get(ACCUSTOMED, {}), life.formats.get(f"step {SAVED + 1}", {})
    lost = [name for name in was if name in now and was[name] != now[name]]
    if lost:
        found.append(f"after a resume {len(lost)} tensors lie otherwise in memory: {', '.join(lost[:2])}, …")
    weights = [name for name in was if name.startswith("model.") and not was[name]]
    if weights:
        found.append(f"{len(weights)} weights of the model are not in channels last: {', '.join(weights[:2])}, …")
    return found


def switches(record) -> list[str]:
    """How matrix products and convolutions are computed."""
    if not record.switches:
        return ["no convolution or product was heard"]
    off = [name for said in sorted(record.switches) for name, on in zip(TF32, said, strict=True) if not on]
    return [f"{name} is off" for name in dict.fromkeys(off)]


def unlike(first: Life, last: Life) -> list[str]:
    """Collectives that not all processes issue: there they would wait for each other for ever."""
    ours, theirs = ([(c[0], c[1], c[2]) for c in life.collectives] for life in (first, last))
    found = []
    for phase in dict.fromkeys(c[0] for c in [*first.collectives, *last.collectives]):
        one, other = ([c for c in calls if c[0] == phase] for calls in (ours, theirs))
        if one != other:
            names = [Counter(c[1] for c in calls) for calls in (one, other)]
            lines = Counter(c[3] for life in (first, last) for c in life.collectives if c[0] == phase)
            said = [", ".join(f"{n} {name}" for name, n in counter.items()) or "nothing" for counter in names]
            found.append(f"{phase}: first process {said[0]}, last {said[1]}: {lines.most_common(1)[0][0]}")
    return found
