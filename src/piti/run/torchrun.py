"""torchrun, but the training's own exit code survives: torchrun itself turns 75 (saved, start me again) into 1."""

import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

from piti.run.launch import AGAIN


def torchrun() -> None:
    """Run `torch.distributed.run` on this command line. SIGTERM reaches the processes, which save and leave."""
    try:
        main()
    except SignalException:
        sys.exit(AGAIN)
    except ChildFailedError as error:
        sys.exit(error.get_first_failure()[1].exitcode)


if __name__ == "__main__":
    torchrun()
