"""One thread a process, as `make test` has it: with several, torch adds up in another order for every size of batch."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
