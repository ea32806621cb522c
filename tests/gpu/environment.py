"""The environment in which Python runs on the stub."""

import os
import sys

from tests.gpu.build import Missing, built
from tests.house import ROOT


def environment() -> dict[str, str]:
    """This process's, with the stub before everything else.

    Where there can be none, the process ends here and says why: as if all were well, but where $CI is "true" with exit
    code 1, for there it must not go unnoticed.
    """
    try:
        libraries = built()
    except Missing as reason:
        print(f"skipped: no stub of a GPU can be made here: {reason}", file=sys.stderr)
        sys.exit(1 if os.environ.get("CI") == "true" else 0)
    return os.environ | {
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        "LD_PRELOAD": ":".join(map(str, libraries)),
        "STUB_GPUS": "4",
        "OMP_NUM_THREADS": "1",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        "MALLOC_MMAP_THRESHOLD_": "65536",  # large tensors of the host are fresh zeros, which take no place
    }
