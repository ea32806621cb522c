"""Provenance: which code made an artefact, and where."""

import ast
import hashlib
import platform
import re
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
LIBRARIES = ("torch", "numpy", "scipy", "opencv-python-headless", "timm", "safetensors")
LAYOUT = {tokenize.NEWLINE: "\n", tokenize.INDENT: "{", tokenize.DEDENT: "}"}  # statements and blocks, not spaces
NAMED = re.compile(r"""["']([\w.]+):\w+["']""", re.ASCII)  # a string that names a thing in a module
SKIPPED = (tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER)


def code_digest(*modules: str) -> str:
    """Ten hexadecimal characters of SHA-256 over modules ("piti.steps.train", plug-ins) and all that they import, from
    this package and from their own.

    Comments, docstrings, blank lines and the width of white space do not count; neither does the version of Python,
    nor where the package lies. Imports inside functions count; imports by a computed name cannot be seen. What a string
    names as "module:object" counts for a module that resolves names (pkgutil.resolve_name) and imports the one with the
    string, and for a plug-in: not for all that import a registry, or an edit of any network would move everything.
    """
    closure, todo = {}, list(modules)
    while todo:
        name = todo.pop()
        if name not in closure:
            closure[name], imported = _read(name)
            todo += imported
    return hashlib.sha256(repr(sorted(closure.items())).encode()).hexdigest()[:10]


def environment() -> dict:
    """Versions of Python, libraries and system; the git commit, and whether this package was edited since.

    None stands for a library that is not installed, or for no checkout.
    """
    status = _git("status", "--porcelain", "--", ".")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "commit": _git("rev-parse", "HEAD"),
        "dirty": None if status is None else bool(status),
    }


@cache
def started_as(*modules: str) -> dict:
    """The digest of their code, and the environment, as this process found them first: a checkout may move on."""
    return {"code": code_digest(*modules), **environment()}


@cache
def _read(name: str) -> tuple[str, list[str]]:
    """The digest of one module's own code, and the modules that it imports of this package and of its own."""
    file = _file(name)
    if file is None:
        if name.split(".")[0] == PACKAGE.name:
            raise ModuleNotFoundError(f"no module {name}")
        from piti.store.files import InputError

        raise InputError(f"plugins: found {name}, expected a module whose source can be read")
    statements = _parsed(name)
    tokens = [token for statement in statements for token in statement]
    digest = hashlib.sha256("\0".join(tokens).encode()).hexdigest()
    ours = {PACKAGE.name, name.split(".")[0]}
    found = {n for n in _imports(name, statements) if n.split(".")[0] in ours and _file(n)}
    if "resolve_name" in tokens:
        found |= set().union(*(_named(_parsed(n)) for n in found))
    if name.split(".")[0] != PACKAGE.name:
        found |= _named(statements)
    return digest, sorted(n for n in found if n.split(".")[0] in ours and _file(n))


def _parsed(name: str) -> list[list[str]]:
    """A module's statements."""
    return list(_statements(_file(name).read_text(encoding="utf-8")))


@cache
def _file(name: str) -> Path | None:
    """Where a module of this package, or of a plug-in's, lies; None if there is no such module."""
    top, *below = name.split(".")
    path = (PACKAGE if top == PACKAGE.name else _place(top)).joinpath(*below)
    for file in (path / "__init__.py", path.parent / f"{path.name}.py"):
        if file.is_file():
            return file
    return None


def _place(top: str) -> Path:
    """The folder of a package, or of a module the path without its suffix."""
    if not (found := find_spec(top)):
        raise ModuleNotFoundError(f"no module {top}")
    folders = found.submodule_search_locations
    return Path(folders[0]) if folders else Path(found.origin).with_suffix("")


def _imports(name: str, statements: list[list[str]]) -> set[str]:
    """The packages that hold a module, and what its import statements name: modules, or things in modules."""
    named = {name.rsplit(".", n)[0] for n in range(1, name.count(".") + 1)}
    package = name if _file(name).name == "__init__.py" else name.rpartition(".")[0]
    imports = [" ".join(statement[:-1]) for statement in statements if statement[0] in ("import", "from")]
    for node in ast.parse("\n".join(imports)).body:
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        else:
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            source = ".".join(filter(None, (above, node.module)))
            named |= {source} | {f"{source}.{alias.name}" for alias in node.names}
    return named


def _named(statements: list[list[str]]) -> set[str]:
    """The modules of the strings "module:object"."""
    return {found[1] for statement in statements for token in statement if (found := NAMED.fullmatch(token))}


def _statements(source: str) -> Iterator[list[str]]:
    """Each statement's tokens, and each change of indentation; no comments, no statement that is only a string."""
    statement, only_strings = [], True
    for kind, text in _tokens(source):
        statement.append(LAYOUT.get(kind, text))
        if kind not in LAYOUT:
            only_strings &= kind == tokenize.STRING
            continue
        if len(statement) == 1 or not only_strings:
            yield statement
        statement, only_strings = [], True


def _tokens(source: str) -> Iterator[tuple[int, str]]:
    """Kinds and texts of tokens; an f-string is one string, as before Python 3.12."""
    start, depth = (0, 0), 0
    for token in tokenize.generate_tokens(StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "FSTRING_START":
            start = start if depth else token.start
            depth += 1
        elif kind == "FSTRING_END":
            depth -= 1
            if not depth:
                yield tokenize.STRING, _between(source, start, token.end)
        elif not depth and token.type not in SKIPPED:
            yield token.type, token.string


def _between(source: str, start: tuple[int, int], end: tuple[int, int]) -> str:
    """The text between two positions (line from 1, column from 0)."""
    lines = StringIO(source).readlines()[start[0] - 1 : end[0]]
    lines[-1] = lines[-1][: end[1]]
    return "".join(lines)[start[1] :]


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    """What git says about the package's folder; None where there is no git or no checkout."""
    try:
        run = subprocess.run(["git", "-C", PACKAGE, *arguments], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout.strip() if run.returncode == 0 else None
