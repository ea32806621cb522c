"""How long a GPU takes: rooflines by hand, data sheets in order, precision as each row has it."""

import pytest
from tests.unit.test_cost import FLICKR, planned, trainings

from piti.plan.cost import COUNTS
from piti.plan.gpu import GPU, GPUS, LAUNCH, OF_BANDWIDTH, OF_PEAK, gpu, needed, seconds_of_pass, seconds_of_step
from piti.store.files import InputError

# of which is reached: 55e12 and 110e12 operations a second, 0.8e12 bytes
CARD = GPU(55 / OF_PEAK, 110 / OF_PEAK, 0.8 / OF_BANDWIDTH, memory=40, capability=(8, 0))


def work(*matrix, moved=(0, 0, 0)):
    rows = {"matrix": [list(row) for row in matrix], "eager": list(moved), "compiled": [0, 0, 0]}
    return {"fp32": rows, "bf16": rows}


def test_a_matrix_kernel_takes_its_operations_or_its_bytes():
    operations, bytes_ = (55_000_000, 10, 0), (55, 800_000, 8_000_000)
    assert needed(work(operations), 4, CARD, "fp32")[0] == pytest.approx(4e-6)
    assert needed(work(operations), 4, CARD, "bf16")[0] == pytest.approx(2e-6)
    assert needed(work(bytes_), 4, CARD, "bf16")[0] == pytest.approx(14e-6)
    assert needed(work(operations, bytes_), 4, CARD, "fp32")[0] == pytest.approx(18e-6)


def test_all_others_take_their_bytes_unless_compiled_away():
    moved = work(moved=(800_000, 8_000_000, 3))
    assert needed(moved, 2, CARD, "fp32") == pytest.approx((12e-6, 3 * LAUNCH))
    assert needed(moved, 2, CARD, "fp32", compiled=True) == (0, 0)


def test_the_host_may_be_what_takes_longest():
    assert seconds_of_pass(work(moved=(1, 1, 1000)), 8, CARD, "fp32") == pytest.approx(1000 * LAUNCH)


def test_a_step_is_its_parts_then_optimizer_and_ema():
    """10 images, 4 at once: 4, 4 and 2; weights once a part."""
    count = work((0, 800_000, 8_000_000)) | {"optimized": 2_000_000, "ema": 1_000_000}
    how = 10, 4, CARD, "fp32", False
    parts = 10 * 1e-6 + 3 * 10e-6
    assert seconds_of_step(count, *how, ema=False) == pytest.approx(parts + 28 * 2e6 / 0.8e12)
    assert seconds_of_step(count, *how, ema=True) == pytest.approx(parts + (28 * 2e6 + 12 * 1e6) / 0.8e12)


@pytest.mark.parametrize("name", GPUS)
@pytest.mark.parametrize("compiled", [False, True])
def test_bf16_is_nowhere_slower_than_tf32(name, compiled):
    """On the device: the host launches more kernels, the casts, and small networks wait for it. `train` of the paper:
    smaller ones are nothing but casts."""
    counted = [entry for entry in COUNTS.values() if entry["name"].startswith("paper") and "bf16" in entry]
    assert len(counted) > 15
    for entry in counted:
        half, single = (needed(entry, 32, GPUS[name], how, compiled)[0] for how in ("bf16", "fp32"))
        assert half <= single, entry["name"]


def test_compiling_is_nowhere_slower():
    for entry in COUNTS.values():
        for precision in entry.keys() & {"fp32", "bf16"}:
            fused, plain = (needed(entry, 32, GPUS["A100-80"], precision, how) for how in (True, False))
            assert fused[0] <= plain[0] and fused[1] <= plain[1], entry["name"]


def test_a_gpu_that_is_not_listed_is_refused():
    with pytest.raises(InputError, match="found 'A100', expected one of A100-40"):
        gpu("A100")


def test_torch_serves_those_that_are():
    torch = pytest.importorskip("torch")
    served = [(int(arch[3:-1]), int(arch[-1])) for arch in torch.cuda.get_arch_list()]
    if not served:
        pytest.skip("torch without CUDA")
    for name, card in GPUS.items():
        assert any(arch[0] == card.capability[0] and arch <= card.capability for arch in served), name


def test_time_follows_precision_compile_and_gpu():
    """Each row in its own: of the paper's plan on one card, and on others."""
    single, half = (planned(**FLICKR, precision=how)[0] for how in ("fp32", "bf16"))
    fused, _ = planned(**FLICKR, precision="bf16", machine={"compile": True})
    one, _ = planned(**FLICKR, precision="fp32", models={"scratch": {"precision": "bf16"}})
    hours = [costs.total(trainings(costs, "scratch")) for costs in (single, half, fused, one)]
    assert hours[0] > hours[1] > hours[2]
    assert hours[3] == hours[1]
    own, _ = planned(**FLICKR, models={"spade": {"precision": "bf16"}})
    gans = [costs.total(trainings(costs, "spade")) for costs in (half, fused, own, single)]
    assert gans[0] == gans[3] > max(gans[1:3])  # its row says fp32, until another says otherwise
    newer, _ = planned("H100", **FLICKR, precision="bf16")
    assert newer.total(newer.by_path) < 0.6 * half.total(half.by_path)
