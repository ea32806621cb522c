"""What the sources never do: run foreign code, ask for the preset's name, keep a key that nothing reads."""

import ast
import dataclasses
import re
from collections.abc import Iterator
from typing import get_args, get_type_hints

import pytest

from piti.cards.base import family_of
from piti.config import Asked, Config
from tests.house import PRESETS, ROOT, RULES, SOURCES

TREES = {path: ast.parse(path.read_text()) for path in SOURCES}
TEXT_FILES = [
    path
    for folder in ("src", "rules", "config", "profiles", "tests", "bench", "envs", "docs")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".smk", ".yaml", ".yml", ".toml", ".md", ".json", ".txt", ".cfg", ".sh", ".html"}
    and "golden/data" not in path.as_posix()
] + [path for path in ROOT.iterdir() if path.is_file() and not path.name.startswith(".")]


def nodes(kind: type) -> Iterator[tuple[str, ast.AST]]:
    """Every node of one kind in the package, with the place to print."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, kind):
                yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}", node


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Every call with its dotted name."""
    for place, node in nodes(ast.Call):
        yield place, ast.unparse(node.func), node


# -- foreign code ------------------------------------------------------------------------------------------------------


def test_yaml_is_loaded_safely():
    assert not [place for place, name, _ in calls() if re.fullmatch(r"yaml\.(unsafe_|full_)?load(_all)?", name)]


def test_nothing_is_unpickled():
    banned = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    for place, node in nodes((ast.Import, ast.ImportFrom)):
        modules = {alias.name for alias in node.names} if isinstance(node, ast.Import) else {node.module}
        assert not modules & banned, place


def test_only_downloads_ask_the_network():
    """Compute nodes have none. A host's own name is no network, nor are names within one machine."""
    banned = {"socket", "ssl", "urllib", "http", "ftplib", "requests", "urllib3", "huggingface_hub", "torch.hub"}
    for place, node in nodes((ast.Import, ast.ImportFrom)):
        modules = {alias.name for alias in node.names} if isinstance(node, ast.Import) else {node.module or ""}
        if not place.startswith("src/piti/store/download.py"):
            assert not {m for m in modules if m in banned or m.split(".")[0] in banned} - {"socket"}, place
    for place, name, call in calls():
        here = name == "socket.gethostname" or ast.unparse(call) == "socket.socket(socket.AF_UNIX)"
        assert not name.startswith("socket.") or here, place
        fetches = [k for k in call.keywords if k.arg == "pretrained" and ast.unparse(k.value) != "False"]
        assert not fetches and "load_state_dict_from_url" not in name, place


def test_no_lock_is_asked_of_a_file_system():
    """Not every cluster's has any (piti.store.lease). HDF5 asks for one unless it is told not to, or opens no path."""
    for place, node in nodes((ast.Import, ast.ImportFrom)):
        modules = {alias.name for alias in node.names} if isinstance(node, ast.Import) else {node.module}
        assert not modules & {"fcntl", "msvcrt"}, place
    for place, name, call in calls():
        unlocked = any(k.arg == "locking" and ast.unparse(k.value) == "False" for k in call.keywords)
        assert name != "h5py.File" or unlocked or ast.unparse(call.args[0]) == "disk", place


def test_ages_of_files_are_told_by_the_clock_of_their_file_system():
    """The executor tells a person since when SLURM is silent, by the clock of the wall."""
    told = {place.split(":")[0] for place, name, _ in calls() if name == "time.time"}
    assert told == {"src/piti/store/files.py", "src/snakemake_executor_plugin_piti_slurm/__init__.py"}


def test_torch_loads_weights_only():
    for place, name, call in calls():
        if name == "torch.load":
            assert any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in call.keywords), place
        if name in ("np.load", "numpy.load"):
            assert not any(k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in call.keywords), place


def test_no_code_is_evaluated():
    assert not [place for place, name, _ in calls() if name in ("eval", "exec", "compile", "__import__")]


def test_no_shell_is_built_from_text():
    for place, name, call in calls():
        assert name not in ("os.system", "os.popen"), place
        assert not any(k.arg == "shell" for k in call.keywords), place


def test_safetensors_are_written_where_atomic_gives_them_their_mode():
    """safetensors' own files are readable by nobody else."""
    written = [call for _, name, call in calls() if name.split(".")[-1] == "save_file"]
    assert len(written) >= 4
    assert {ast.unparse(call.args[1]) for call in written} == {"temporary"}


def test_only_progress_draws_bars():
    """A bar that is redrawn in a log file is a hundred megabytes a day."""
    for place, node in nodes((ast.Import, ast.ImportFrom)):
        modules = {alias.name for alias in node.names} if isinstance(node, ast.Import) else {node.module or ""}
        assert "tqdm" not in {m.split(".")[0] for m in modules} or place.startswith("src/piti/progress.py"), place


# -- presets are amounts, never logic ----------------------------------------------------------------------------------


def _asks_for_the_preset(node: ast.AST) -> bool:
    """A comparison, match or look-up that depends on which preset it is."""
    parts = list(ast.walk(node))
    named = any(getattr(part, "attr", getattr(part, "id", None)) == "preset" for part in parts)
    words = {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}
    return (named and bool(words)) or bool(words & ({*PRESETS} - {"paper"}))  # "paper" is a word of its own too


def test_no_code_asks_for_the_preset():
    for place, node in nodes((ast.Compare, ast.match_case)):
        assert not _asks_for_the_preset(node), place
    for place, node in nodes(ast.Subscript):
        assert getattr(node.slice, "attr", getattr(node.slice, "id", None)) != "preset", place


def test_no_rule_asks_for_the_preset():
    quoted = "|".join(PRESETS)
    for path in RULES:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            code = line.split("#")[0]
            assert not re.search(rf"""preset\b.*(==|!=|\bin\b)|(==|!=|\bin\b).*preset|["']({quoted})["']""", code), (
                f"{path.name}:{number}"
            )


@pytest.mark.parametrize(
    "code", ["config.preset == 'smoke'", "preset in ('a', 'b')", "'mini' != name", "x in {'smoke': 1}"]
)
def test_the_law_sees_such_code(code):
    assert _asks_for_the_preset(ast.parse(code).body[0].value)


# -- every key is read -------------------------------------------------------------------------------------------------


def configuration() -> set[type]:
    """The dataclasses that may stand in config/*.yaml."""
    found, todo = set(), [Config]
    while todo:
        kind = todo.pop()
        if dataclasses.is_dataclass(kind):
            found.add(kind)
            todo += [hints[f.name] for hints in [get_type_hints(kind)] for f in dataclasses.fields(kind)]
            todo += (family_of(kind) or {}).values()
            todo = [k for k in todo if k not in found]
        else:
            todo += get_args(kind)
    return found


def test_every_key_is_read_somewhere():
    read = {node.attr for _, node in nodes(ast.Attribute) if isinstance(node.ctx, ast.Load)}
    read |= {name for path in RULES for name in re.findall(r"\.(\w+)", path.read_text())}
    read |= {"like"}  # read before there are dataclasses: a key of what is merged
    read |= {field.name for field in dataclasses.fields(Asked)}  # handed on to Snakemake as they are
    unread = {f"{c.__name__}.{f.name}" for c in configuration() for f in dataclasses.fields(c) if f.name not in read}
    assert not unread


# -- the project speaks of itself only ---------------------------------------------------------------------------------


def test_no_machine_stands_in_the_text():
    for path in TEXT_FILES:
        folders = r"/(?:work|root|opt|home/\w+)/" + ("" if "tests" in path.parts else r"|/tmp/\w")
        found = re.search(folders, path.read_text())
        assert not found, f"{path}: {found[0]}"
