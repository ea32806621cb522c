"""What a cell of a table may measure, as column heads say it, and whether more of it is better."""

from dataclasses import dataclass
from typing import Literal

from piti.registry import Registry


@dataclass(frozen=True)
class Measure:
    """A measure of alignment: how well pictures follow their conditions, which something predicts from them."""

    name: str
    condition: str  # the kind of condition that it is for
    head: str
    higher_is_better: bool
    compare: str  # module:function of (what is predicted of N pictures, N stored conditions) -> N rows
    total: str = "piti.evaluate.measure:mean"  # module:function of N rows -> the score
    network: Literal["estimator", "hed", ""] = "estimator"  # what predicts; "": the pictures say it themselves


MEASURES: Registry[Measure] = Registry(
    "measure",
    Measure(
        "mean_iou", "mask", "mIoU % ↑", True, "piti.evaluate.measure:labels", total="piti.evaluate.measure:percent_iou"
    ),
    Measure("edge_f1", "sketch", "edge F1 % ↑", True, "piti.evaluate.measure:sketches", network="hed"),
    Measure("normal_error", "geometry", "normals ° ↓", False, "piti.evaluate.measure:normals"),
    Measure("depth_error", "geometry", "log depth, % of range ↓", False, "piti.evaluate.measure:depths"),
)
