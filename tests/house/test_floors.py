"""Every module has a floor, and imports only from the floors below: the contracts in pyproject.toml."""

from importlinter.cli import lint_imports

from tests.house import ROOT


def test_floors(capsys):
    broken = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True)
    assert not broken, capsys.readouterr().out
