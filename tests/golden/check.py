"""Run golden cases: `python -m tests.golden.check DIR [case ...]` prints one line a case and exits 1 on any FAIL.

Every module `tests/golden/cases_*.py` has `CASES`: case name, or the beginning of one -> function(case) -> outputs by
name, as whole NumPy arrays; None stands for an output that cannot be compared. Where an entry states its tolerance in
words, the module may have `TOLERANCES`: the same keys -> function(case, output name) -> Tolerance or None (None: the
entry's number holds).
"""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tests import golden
from tests.golden.rule import Case, load_cases


class Tolerance(NamedTuple):
    """An element may differ by max(abs, rel * max|want|); a share of the elements may differ by more."""

    rel: float = 0.0
    abs: float = 0.0
    share: float = 0.0


class Result(NamedTuple):
    """The worst output of a case: its error relative to max|want|, and the tolerance it was held to."""

    error: float
    tolerance: Tolerance
    complaint: str = ""  # empty when the case holds


def registry() -> tuple[dict[str, Callable], dict[str, Callable]]:
    """CASES and TOLERANCES of all modules; a module that cannot be imported is named and leaves the others usable."""
    cases, tolerances = {}, {}
    for module in pkgutil.iter_modules(golden.__path__, "tests.golden."):
        if module.name.rpartition(".")[2].startswith("cases_"):
            try:
                loaded = importlib.import_module(module.name)
                cases |= loaded.CASES
            except Exception as error:
                print(f"{module.name}: {type(error).__name__}: {error}", file=sys.stderr)
                continue
            tolerances |= getattr(loaded, "TOLERANCES", {})
    return cases, tolerances


def find(table: dict[str, Callable], name: str) -> Callable | None:
    """The function under the longest key that `name` starts with."""
    keys = [key for key in table if name.startswith(key)]
    return table[max(keys, key=len)] if keys else None


def run(case: Case, function: Callable, words: Callable | None) -> Result:
    """Compute a case and compare every output that its entry lists."""
    outputs = function(case)
    results = [Result(0.0, Tolerance())]
    for name, spec in case.entry["outputs"].items():
        if name not in outputs:
            return Result(np.inf, Tolerance(), f"{name}: not computed")
        if outputs[name] is None:
            continue
        got, want = np.asarray(outputs[name]), case.arrays[name]
        if list(got.shape) != spec["shape"]:
            return Result(np.inf, Tolerance(), f"{name}: shape {list(got.shape)}, expected {spec['shape']}")
        got = got.ravel()[:: spec["stride"]] if "stride" in spec else got
        tolerance = (words and words(case, name)) or stated(case, name)
        result = compare(got, want.reshape(got.shape), tolerance, by_sample(case, spec["shape"]))
        if result.complaint:
            return result._replace(complaint=f"{name}: {result.complaint}")
        results.append(result)
    return max(results, key=lambda r: r.error / (r.tolerance.rel or r.tolerance.abs or 1.0))


def stated(case: Case, output: str) -> Tolerance:
    """The number in the entry; without one, integers are exact, float64 is held to 1e-9 and float32 to 1e-6."""
    if np.issubdtype(case.arrays[output].dtype, np.integer):
        return Tolerance()
    tolerance = case.entry.get("tolerance", {})
    default = 1e-9 if case.arrays[output].dtype == np.float64 else 1e-6
    return Tolerance(rel=tolerance.get("rel_by_output", {}).get(output, tolerance.get("rel", default)))


def by_sample(case: Case, shape: list[int]) -> bool:
    """Diffusion steps are compared sample by sample, because timesteps differ in scale."""
    batches = [i["shape"][0] for i in case.entry["inputs"]]
    return case.name.startswith("diffusion_") and bool(shape) and shape[0] in batches


def compare(got: np.ndarray, want: np.ndarray, tolerance: Tolerance, samples: bool = False) -> Result:
    """The worst error relative to max|want|, over the whole array or the worst of its samples."""
    if samples:
        results = [compare(g, w, tolerance) for g, w in zip(got, want, strict=True)]
        return max(results, key=lambda r: (bool(r.complaint), r.error))
    got, want = got.astype(np.float64), want.astype(np.float64)
    scale = float(np.abs(want).max(initial=0.0))
    difference = np.where(got == want, 0.0, np.abs(got - want))
    outside = ~(difference <= max(tolerance.abs, tolerance.rel * scale))  # so that NaN counts
    error = float(difference.max(initial=0.0) / (scale or 1.0))
    complaint = "outside the tolerance" if outside.mean() > tolerance.share else ""
    return Result(error, tolerance, complaint)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="directory with cases.json and its arrays")
    parser.add_argument("case", nargs="*", help="cases to run; all when none is named")
    arguments = parser.parse_args()
    functions, tolerances = registry()
    cases, failed = load_cases(arguments.folder), False
    if unknown := set(arguments.case) - {case.name for case in cases}:
        parser.error(f"{arguments.folder} has no case {', '.join(sorted(unknown))}")
    for case in cases:
        if arguments.case and case.name not in arguments.case:
            continue
        function = find(functions, case.name)
        if function is None:
            print(f"{case.name:<28} not covered", flush=True)
            continue
        try:
            result = run(case, function, find(tolerances, case.name))
        except Exception as error:  # one broken case must not hide the others
            result = Result(np.inf, Tolerance(), f"{type(error).__name__}: {' '.join(str(error).split())}"[:200])
        failed |= bool(result.complaint)
        allowed = " ".join(f"{key} {value:.2g}" for key, value in result.tolerance._asdict().items() if value)
        verdict = f"FAIL ({result.complaint})" if result.complaint else "ok"
        print(f"{case.name:<28} {result.error:9.2e}  {allowed or 'exact':<12} {verdict}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
