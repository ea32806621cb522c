"""The one training loop: data in, one step at a time, saved so that stopping anywhere costs nothing."""

import contextlib
import math
import signal
import time
from collections.abc import Callable, Iterator

from torch.utils.data import DataLoader, Dataset
from torch.utils.tensorboard import SummaryWriter

from piti.progress import progress
from piti.run.command import BEGAN
from piti.store.files import InputError
from piti.train.run import Run


class Diverged(Exception):
    """A loss or a weight is not finite, or a loss has vanished. The text is the failure record's reason."""


class Stopped(SystemExit):
    """SIGTERM came, or the time is up. The checkpoint is saved; exit code 75 asks to be started again."""

    def __init__(self):
        super().__init__(75)


def train(
    run: Run,
    batches: Dataset,
    until: int,
    workers: int,
    log_every: int,
    save_minutes: float,
    minutes: float = 0,
    keep_every: int = 0,
) -> None:
    """Train until this step, then save. `batches[step]` is a batch; `minutes`: stop when this process is so
    old, 0 for no limit.

    Every `log_every` steps a line of the curve is closed and goes to TensorBoard (events/ beside the checkpoint). Every
    `keep_every` steps the EMA weights are kept; 0: never. When a checkpoint is due, `Run.due` says.
    Raises Diverged at a line of the curve, or Stopped. Nothing that comes out depends on when checkpoints are written;
    what has gone wrong between two lines is not written.
    """
    if run.step == until:
        return
    loader = DataLoader(
        Told(batches),
        batch_size=None,
        sampler=range(run.step, until),
        num_workers=workers,
        pin_memory=run.place.device.type == "cuda",
    )
    events = SummaryWriter(run.path.with_name("events"), purge_step=run.step) if run.place.first else None
    run.note("running")
    deadline = BEGAN + 60 * minutes if minutes else math.inf
    with (
        stop_signal() as stopped,
        progress(total=run.steps, initial=run.step, desc="training", unit="step", disable=not run.place.first) as bar,
    ):
        with deaf():  # workers begin here
            told = iter(loader)
        for batch in told:
            if isinstance(batch, InputError):
                raise batch
            run.advance(batch)
            bar.update()
            end = run.step == until
            log = end or run.step % log_every == 0
            over = stopped() or time.monotonic() > deadline
            stop, due = (False, True) if end else run.place.any(run.step, over, run.due(save_minutes))
            save = stop or due
            keep = keep_every and run.step % keep_every == 0
            reason = run.failure(log) if log or save or keep else None
            if log and reason:
                run.note("failed")
                raise Diverged(reason)
            if log:
                means = run.log()
                bar.set_postfix({name: f"{value:.3g}" for name, value in means.items()}, refresh=False)
                for name, value in means.items() if events else ():
                    events.add_scalar(name, value, run.step)
            if keep and not reason:
                run.keep()
            if save and not reason:
                run.save()
            if log or save:
                run.note("stopped" if stop else "running")
            if stop:
                run.place.wait()
                raise Stopped
    if events:
        events.close()


class Told(Dataset):
    """Batches; one that cannot be read is the InputError that says why. Raised in a worker, it would come out of the
    loader with the worker's traceback in its one line.
    """

    def __init__(self, batches: Dataset):
        self.batches = batches

    def __getitem__(self, step: int) -> dict | InputError:
        try:
            return self.batches[step]
        except InputError as error:
            return error


@contextlib.contextmanager
def deaf() -> Iterator[None]:
    """Processes that begin while the block lasts never hear SIGTERM: they leave it to the training, and end with it.

    Many send it to all processes of a job at once (systemd, `timeout`, SLURM without cgroups). A worker that died of it
    would end the training before it has saved.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # which a new process inherits
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def stop_signal() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM has come, while the block lasts. It comes with a SIGCONT from SLURM, which must not hide it."""
    came = []
    before = signal.signal(signal.SIGTERM, lambda *_: came.append(True))
    try:
        yield lambda: bool(came)
    finally:
        signal.signal(signal.SIGTERM, before)
