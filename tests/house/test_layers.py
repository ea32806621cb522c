"""Packages import only from layers below; what many processes start with is light."""

import pytest
from importlinter.cli import lint_imports

from tests.house import ROOT, run

HEAVY = {"torch", "torchvision", "timm", "open_clip"}
MORE = {"PIL", "cv2", "h5py", "scipy", "pandas", "matplotlib"}


def test_layers(capsys):
    """The contracts in pyproject.toml."""
    broken = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True)
    assert not broken, capsys.readouterr().out


@pytest.mark.parametrize(
    ("modules", "left_out"),
    [
        ("piti.plan, piti.plan.runs, piti.plan.cost, piti.config.schema", HEAVY | MORE),  # what the Snakefile imports
        ("piti.scenes, piti.data.packing, piti.report.figures, piti.report.html, piti.report.study.make", HEAVY),
    ],
)
def test_what_needs_no_heavy_library_imports_none(modules, left_out):
    asked = run("-c", f"import sys, {modules}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))")
    assert asked.returncode == 0, asked.stderr
    assert not left_out & set(asked.stdout.split())
