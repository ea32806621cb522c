"""Does everything else of the paper preset that uses a GPU run on it? Each step once, through the step's own function,
with 32 pictures; samplers in both precisions and both ways, in 5 steps. What it can show: see test_training.py.
"""

import itertools
from collections.abc import Iterator
from unittest import mock

import pytest

from piti.networks.piti import PITI
from tests.gpu.project import FEW, drawn, tasks
from tests.gpu.record import GIB, Record
from tests.gpu.verdict import switches


def cases() -> Iterator:
    for name, task in tasks().items():
        if task.step in ("sample", "upsample"):
            for precision, way in itertools.product(("fp32", "bf16"), ("ancestral", "ddim")):
                sampling = {"precision": precision, "base_sampler": way, "upsampler_sampler": way}
                yield pytest.param(name, sampling, id=f"{name} {precision} {way}")
        elif task.step != "train":
            yield pytest.param(name, {}, id=name)


@pytest.mark.parametrize(("name", "sampling"), list(cases()))
def test_sampling(name, sampling, tmp_path, row, request):
    task, record, passes = tasks()[name], Record(), 0
    denoise = PITI.denoise

    def counted(*arguments):
        nonlocal passes
        passes += 1
        record.enter(f"pass {passes}")
        return denoise(*arguments)

    with record.watching(0, 1), mock.patch.object(PITI, "denoise", counted):
        task.run(tmp_path, drawn(task.card, **sampling))
    row(
        "all else: GiB, kernels",
        name=request.node.callspec.id,
        peak=f"{record.peak / GIB:.1f}",
        reserved=f"{record.reserved / GIB:.1f}",
        kernels=record.launches.total(),
    )
    found = record.problems + switches(record)
    if sampling:
        assert passes == int(FEW)
        for number in range(2, passes):  # in the first one cuDNN tries its kernels
            waits = record.in_phase(f"pass {number}", "sync", "event sync", "pageable copy")
            found += [f"waits in step {number}: {line}, {times} times" for line, times in waits.items()]
    assert not found, "\n".join(["", *found])
