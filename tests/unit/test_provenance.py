"""The digest of a step's code: moved by what it does, by nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from piti.cards.baselines import BASELINES
from piti.evaluate.extractors import EXTRACTORS
from piti.store import provenance
from piti.store.files import InputError
from piti.store.provenance import code_digest, environment

TREE = {
    "__init__.py": "",
    "steps/__init__.py": "",
    "store/__init__.py": "",
    "steps/train.py": '''
        """A step."""
        import os
        from piti.networks import (
            unet,  # the module
        )

        def main(n: int = 1) -> str:
            """Say it."""
            from piti.store.files import write
            import piti.late
            from pkgutil import resolve_name
            from piti.registered import NAMES
            return f"{n:>{n}} {write('a')!r}" f'{unet.x}'
        ''',
    "networks/__init__.py": "",
    "networks/unet.py": "from .block import wide as w\nfrom ..top import y\nx = 1\n",
    "networks/block.py": "wide = 2\nheavy = 'piti.networks.elsewhere:x'\n",
    "networks/other.py": "x = 1\n",
    "networks/named.py": "import piti.networks.below\ndef build():\n    pass\n",
    "networks/below.py": "x = 1\n",
    "networks/elsewhere.py": "x = 1\n",
    "registered.py": 'NAMES = ["piti.networks.named:build"]\n',
    "top.py": "y = 1\n",
    "store/files.py": "def write(x):\n    return x\n",
    "late.py": "z = 1\n",
}


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """Write the tree, with some files replaced, and return the digest of its step."""

    def digest(changed=(), folder="a", python=None):
        package = tmp_path / folder / "piti"
        for name, text in (TREE | dict(changed)).items():
            path = package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("\n        ", "\n"))
        if python:
            shutil.copy(provenance.__file__, package / "store")
            call = "from piti.store.provenance import code_digest; print(code_digest('piti.steps.train'))"
            run = subprocess.run(
                [python, "-c", call], env={"PYTHONPATH": package.parent}, capture_output=True, text=True
            )
            return run.stdout.strip()
        monkeypatch.setattr(provenance, "PACKAGE", package)
        provenance._read.cache_clear()
        provenance._file.cache_clear()
        return code_digest("piti.steps.train")

    yield digest
    provenance._read.cache_clear()
    provenance._file.cache_clear()


STEP = TREE["steps/train.py"]


@pytest.mark.parametrize(
    "changed",
    [
        {"networks/unet.py": "from .block import wide as w\nfrom ..top import y\nx = 2\n"},
        {"networks/block.py": "wide = 3\n"},
        {"networks/__init__.py": "import os\n"},
        {"top.py": "y = 1.0\n"},
        {"store/files.py": "def write(x):\n    pass\n    return x\n"},
        {"store/files.py": "def write(x):\n    pass\nreturn x\n"},
        {"late.py": "z = '1'\n"},
        {"networks/named.py": "import piti.networks.below\ndef build():\n    return 1\n"},
        {"networks/below.py": "x = 2\n"},
        {"steps/train.py": STEP.replace("{n:>{n}}", "{n:<{n}}")},
        {"steps/train.py": STEP.replace("write('a')", "write('b')")},
        {"steps/train.py": STEP.replace("import os", "import re")},
    ],
)
def test_code_counts_wherever_it_is_imported(digest, changed):
    assert digest() != digest(changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"networks/other.py": "x = 2\n"},
        {"networks/block.py": "# Why.\n\n\nwide  =  2  # how\nheavy = 'piti.networks.elsewhere:x'\n"},
        {"networks/elsewhere.py": "x = 2\n"},  # named by a module of which nobody who imports it resolves names
        {"store/files.py": 'def write(x):\n  """Docstring,\n\n  of two lines."""\n\n  # and a comment\n  return x'},
        {"top.py": '"""Another\npage\x0cbreak."""\ny = 1\n'},
        {"steps/train.py": STEP.replace('"""A step."""', "").replace("Say it", "Say this")},
    ],
)
def test_what_does_not_run_does_not_count(digest, changed):
    assert digest() == digest(changed)


def test_a_string_that_is_not_alone_counts(digest):
    assert digest({"top.py": 'y = (\n"a"\n"b"\n)\n'}) != digest({"top.py": 'y = (\n"a"\n"c"\n)\n'})


def test_the_place_does_not_count(digest):
    assert digest(folder="here") == digest(folder="there/and/everywhere")


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_version_of_python_does_not_count(digest, version):
    python = sys.executable if sys.version.startswith(version) else shutil.which(f"python{version}")
    if not python or subprocess.run([python, "--version"], capture_output=True).returncode:
        pytest.skip(f"no Python {version} here")
    assert digest(python=python) == digest()


def test_a_module_that_is_not_there(digest):
    digest()
    with pytest.raises(ModuleNotFoundError, match=r"piti\.steps\.absent"):
        code_digest("piti.steps.absent")


@pytest.mark.parametrize("module", ["os", "sys", "math"])
def test_a_plugin_without_source_is_refused(module):
    with pytest.raises(InputError, match=f"^plugins: found {module}, expected a module whose source can be read$"):
        code_digest(module)


def test_plugins_count_with_what_they_import_of_their_own_and_of_ours(digest, tmp_path, monkeypatch):
    """A package and a module, as `plugins` names them: in the folder where one works."""
    monkeypatch.syspath_prepend(tmp_path)
    files = {"toy_package/__init__.py": "", "toy_package/kind.py": "import numpy\nfrom toy_package.heavy import x\n"}
    files |= {"toy_package/heavy.py": "from piti.networks import other\nx = 1\n", "toy_module.py": "y = 'piti.top:y'\n"}
    (tmp_path / "toy_package").mkdir()

    def plugged(changed=(), package=()):
        for name, text in (files | dict(changed)).items():
            (tmp_path / name).write_text(text)
        digest(package)
        return code_digest("piti.steps.train", "toy_package.kind", "toy_module")

    plain = plugged()
    assert plain == plugged() != digest()
    for changed in (
        {"toy_package/kind.py": "from toy_package.heavy import x as z\n"},
        {"toy_package/heavy.py": "from piti.networks import other\nx = 2\n"},
        {"toy_module.py": "y = 2\n"},
    ):
        assert plugged(changed) != plain
    assert plugged(package={"networks/other.py": "x = 2\n"}) != plain
    assert plugged({"toy_module.py": "# Why.\ny = 'piti.top:y'\n"}) == plain


def test_a_step_counts_the_networks_that_it_builds_and_no_others():
    """Else an edit of a baseline would pack the data again."""

    def counted(step: str) -> set[str]:
        found, todo = set(), [f"piti.steps.{step}"]
        while todo:
            if (name := todo.pop()) not in found:
                found.add(name)
                todo += provenance._read(name)[1]
        return found

    baselines = {baseline.network.partition(":")[0] for baseline in BASELINES.values()}
    extractors = {extractor.build.partition(":")[0] for extractor in EXTRACTORS.values()}
    assert baselines <= counted("generate") and not extractors & counted("generate")
    assert baselines | extractors <= counted("train")  # which looks at validation pairs
    for step in ("extract_features", "check_metric"):
        assert extractors <= counted(step) and not baselines & counted(step)
    for step in ("pack", "sample", "score", "make_table"):
        assert not (baselines | extractors) & counted(step)


def test_every_module_is_read_once():
    provenance._read.cache_clear()
    modules = [p.relative_to(provenance.PACKAGE).with_suffix("") for p in provenance.PACKAGE.rglob("*.py")]
    for module in modules:
        code_digest(".".join(("piti", *module.parts)).removesuffix(".__init__"))
    assert provenance._read.cache_info().misses <= len(modules)


def test_the_environment_with_and_without_git(tmp_path, monkeypatch):
    found = environment()
    assert found["python"].startswith("3.")
    assert found["libraries"]["torch"]
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    assert (environment()["commit"], environment()["dirty"]) == (None, None)
    git = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    assert (len(environment()["commit"]), environment()["dirty"]) == (40, False)
    Path(tmp_path, "new").touch()
    assert environment()["dirty"] is True
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    assert environment()["commit"] is None
