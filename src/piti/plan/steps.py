"""All steps by name: what each makes and where it runs, as its own module declares it."""

from pkgutil import iter_modules, resolve_name

from piti import steps
from piti.registry import Registry

STEPS = Registry("step", *(resolve_name(f"piti.steps.{module.name}:run") for module in iter_modules(steps.__path__)))
