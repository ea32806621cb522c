"""Processes of the tests that start at once."""

import os
import runpy
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import torch
from tests.unit.train import tiny

from piti.cards import TrainCard
from piti.cards.base import dumps


class Child:
    """A process that runs a function."""

    def __init__(self, process):
        self.process = process
        self.terminate, self.kill, self.is_alive = process.terminate, process.kill, process.is_alive

    def join(self) -> int:
        """Wait; the exit code, negative for a signal."""
        self.process.join(120)
        assert not self.process.is_alive(), "hangs"
        return self.process.exitcode


class Children:
    """Starts processes from a server that has torch loaded already: loading takes longer than all that they do."""

    def __init__(self):
        self.context = get_context("forkserver")
        self.context.set_forkserver_preload(["tests.unit.train.tiny", "torch._dynamo"])

    def start(self, function: Callable, *args, **kwargs) -> Child:
        """Run a function."""
        process = self.context.Process(target=_alone, args=(function, args, kwargs), daemon=True)
        process.start()
        return Child(process)

    def step(self, card: TrainCard, shards: dict[str, Path], output: Path, environment=(), **options) -> Child:
        """Run the training step's command line."""
        images, conditions = tiny.inputs(card, shards)
        pairs = {"card": dumps(card), "images": images, "conditions": conditions, "output": output} | options
        arguments = [str(part) for key, value in pairs.items() for part in (f"--{key.replace('_', '-')}", value)]
        return self.start(_command_line, "piti.steps.train", arguments, dict(environment))


def _alone(function, args, kwargs):
    torch.set_num_threads(1)
    function(*args, **kwargs)


def _command_line(module: str, arguments: list[str], environment: dict[str, str]):
    sys.argv[1:] = arguments
    os.environ.update(environment)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
