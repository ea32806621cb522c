"""`python -m tests.gpu [arguments of pytest]`: these tests, on the stub of a GPU."""

import os
import sys

from tests.gpu.environment import environment

if __name__ == "__main__":
    folder = os.path.dirname(__file__)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", folder, *sys.argv[1:]]
    os.execve(sys.executable, command, environment())
