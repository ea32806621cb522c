"""Compile the stub for the torch that is installed: `built()` gives what to preload.

It goes into a folder of the user's cache ($XDG_CACHE_HOME, else ~/.cache), named by torch's version and the sources'
digest, and stays there. NVIDIA's driver_types.h comes from the wheel that torch depends on.
"""

import hashlib
import importlib.metadata
import os
import re
import runpy
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

SOURCES = sorted(Path(__file__).with_name("stub").glob("*.[ch]"))
LIBRARIES = ("torch_cuda", "c10_cuda", "torch_python", "torch_cuda_linalg", "torch_nvshmem", "caffe2_nvrtc")
WANTED = re.compile(r"(cu[A-Z]|cuda[A-Z]|cublas|cudnn[A-Z])\w*")  # CUDA's names among all that torch's libraries need
# What answers without a card: the real libraries keep it.
REAL = re.compile(
    "cuda(GetErrorName|GetErrorString|RuntimeGetVersion)|cublasLtGetVersion"
    "|cudnnGet(Version|Property|CudartVersion|ErrorString)|cuFile.*"
)
# A function that the sources lack succeeds and does nothing; these, whose callers need more than that, fail loudly.
LOUD = re.compile(
    "Graph|Capture|Ipc|MemPool|Async$|Library|RNN|CTC|(Find|Get)Convolution|GetMatrix|GetVector|cublasI"
    "|getr|trsm|geqrf|gels"
)
QUIET = re.compile("Exchange|Destroy")


class Missing(Exception):
    """Why there can be no stub here."""


def built() -> list[Path]:
    """The libraries to preload, in order. Raises Missing."""
    for tool in ("cc", "nm"):
        if not shutil.which(tool):
            raise Missing(f"found no {tool}, expected a C compiler and binutils")
    torch = Path(find_spec("torch").submodule_search_locations[0])
    version = runpy.run_path(str(torch / "version.py"))
    if not version["cuda"]:
        raise Missing(f"found torch {version['__version__']}, expected one that is built with CUDA")
    major, minor = map(int, version["cuda"].split(".")[:2])
    sources = b"".join(path.read_bytes() for path in [Path(__file__), *SOURCES])
    digest = hashlib.sha256(sources).hexdigest()[:10]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "piti-gpu-stub"
    folder = cache / f"{version['__version__']}-{digest}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as work:
            compile_into(Path(work), torch, 1000 * major + 10 * minor)
            Path(work).rename(folder)
            Path(work).mkdir()
    return [folder / "libcuda.so.1", folder / "libnvidia-ml.so.1"]


def compile_into(work: Path, torch: Path, cuda: int) -> None:
    (work / "crt").mkdir()
    (work / "crt/host_defines.h").touch()  # what it would define, stub.h does
    cc = ["cc", "-O2", "-fPIC", "-w", "-fno-builtin", f"-DCUDA={cuda}", f"-I{work}", f"-I{driver_types()}"]
    objects = []
    for source in (path for path in SOURCES if path.suffix == ".c"):
        objects.append(work / f"{source.stem}.o")
        run(*cc, "-c", source, "-o", objects[-1])
    have = set(re.findall(r" T (\w+)$", run("nm", "--defined-only", *objects), re.MULTILINE))
    rest = [name for name in wanted(torch) if name not in have]
    (work / "rest.c").write_text("int stub_call(const char *, int);\n" + "".join(map(function, rest)))
    library = work / "libcuda.so.1"
    run(*cc, "-shared", "-Wl,-soname,libcuda.so.1", *objects, work / "rest.c", "-o", library, "-ldl", "-lpthread")
    nvml = ["-x", "c", "/dev/null", "-x", "none", "-Wl,-soname,libnvidia-ml.so.1", "-Wl,--no-as-needed"]
    run("cc", "-shared", *nvml, library, "-o", work / "libnvidia-ml.so.1")


def driver_types() -> Path:
    """The folder of NVIDIA's driver_types.h."""
    for found in importlib.metadata.distributions():
        for file in found.files or () if found.name.startswith("nvidia-cuda-runtime") else ():
            if file.name == "driver_types.h":
                return Path(found.locate_file(file)).parent
    raise Missing("found no driver_types.h, expected it in the wheel nvidia-cuda-runtime, on which torch depends")


def wanted(torch: Path) -> list[str]:
    """The functions of CUDA that torch's libraries need."""
    paths = [torch / f"lib/lib{name}.so" for name in LIBRARIES]
    lines = run("nm", "-D", "--undefined-only", *(path for path in paths if path.exists())).splitlines()
    names = {line.split()[-1].split("@")[0] for line in lines if line.strip()}
    return sorted(name for name in names if WANTED.fullmatch(name) and not REAL.fullmatch(name))


def function(name: str) -> str:
    fails = LOUD.search(name) and not QUIET.search(name)
    return f'int {name}(void) {{ return stub_call("{name}", {801 if fails else 0}); }}\n'  # 801: not supported


def run(*command) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"{command[0]} failed: {done.stderr.strip()[:2000]}")
    return done.stdout
