"""The counted memory of GPUs: everything that the paper preset trains and samples has its line."""

import json
from pathlib import Path

from piti import count
from piti.plan import cost

COUNTED = json.loads(Path(cost.__file__).with_name("memory.json").read_text())


def test_everything_of_the_paper_preset_is_counted():
    assert count.cards("paper").keys() <= COUNTED.keys(), "run `python -m tests.gpu.memory`"


def test_lines_rise():
    """fixed holds the weights, image is what each further picture takes."""
    for entry in COUNTED.values():
        for line in (entry[precision] for precision in ("fp32", "bf16") if precision in entry):
            assert line["fixed"] > 0 and line["image"] > 0, entry
