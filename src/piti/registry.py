"""Registries: the things of one kind by name, each registered once; and plug-ins, whose modules add to them.

A registry holds declarations, light enough for the Snakefile. What is heavy is named as "module:object" and found when
it is used (`pkgutil.resolve_name`).
"""

import difflib
import importlib
import os
import sys
from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from piti.store.files import InputError


class Named(Protocol):
    name: str


T = TypeVar("T", bound=Named)


class Registry(dict[str, T]):
    """Things of one kind by name. One that is not there is refused in a line with the nearest name."""

    def __init__(self, what: str, *things: T):
        super().__init__()
        self.what = what
        for thing in things:
            self.add(thing)

    def add(self, thing: T) -> T:
        """Register a thing under its name. Raises InputError where another has it."""
        if thing.name in self:
            raise InputError(f"{self.what}: found {thing.name!r} twice, expected every name once")
        self[thing.name] = thing
        return thing

    def __missing__(self, name: str) -> T:
        raise InputError(unknown_key(name, self, self.what))


def unknown_key(key: str, known: Any, where: str = "") -> str:
    """The one line that refuses a key, with the nearest valid one."""
    near = difflib.get_close_matches(str(key), list(known), n=1, cutoff=0.0)
    hint = f"; nearest valid key: {near[0]}" if near else ""
    return f"{where + ': ' if where else ''}unknown key {key!r}{hint}"


def load_plugins(modules: Iterable[str]) -> None:
    """Import modules that register things of somebody else's; they may lie in the folder where one works.

    Raises InputError where there is no such module, or it cannot be read.
    """
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    for module in modules:
        if not all(map(str.isidentifier, module.split("."))):
            raise InputError(f"plugins: found {module!r}, expected a module's name, as Python imports it")
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module and not module.startswith(f"{error.name}."):
                raise
            raise InputError(
                f"plugins: found no module {module}, expected one below {os.getcwd()} or installed"
            ) from None
        except SyntaxError as error:
            raise InputError(f"plugins: {module}: {error.filename}, line {error.lineno}: {error.msg}") from None
