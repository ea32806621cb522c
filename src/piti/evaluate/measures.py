"""What a cell of a table may measure, as column heads say it, and whether more of it is better."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A measure of alignment: how well pictures follow their conditions."""

    condition: str  # the kind of condition that it is for
    head: str
    higher_is_better: bool


MEASURES = {
    "mean_iou": Measure("mask", "mIoU % ↑", True),
    "edge_f1": Measure("sketch", "edge F1 % ↑", True),
    "normal_error": Measure("geometry", "normals ° ↓", False),
    "depth_error": Measure("geometry", "log depth, % of range ↓", False),
}
