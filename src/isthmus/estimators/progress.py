"""What a person sees while a model trains: one line on standard error, on a terminal only."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from isthmus._progress import per_second, shown
from isthmus.training import Epoch

if TYPE_CHECKING:
    from rich.progress import Progress

REDRAW_SECONDS = 0.1


class Display(Protocol):
    """Where the training's progress is shown."""

    def tick(self, n_rows: int) -> None:
        """That many more rows have been trained on."""

    def show(self, epoch: Epoch) -> None:
        """An epoch has ended."""


class Silent:
    """Shows nothing."""

    def tick(self, n_rows: int) -> None:
        """Nothing."""

    def show(self, epoch: Epoch) -> None:
        """Nothing."""


class Bar:
    """A bar with nll, validation nll, rows per second and the time left.

    Args:
        progress: Rich's progress, running.
        n_rows: Rows in one epoch.
        n_epochs: Epochs at most.
    """

    def __init__(self, progress: "Progress", n_rows: int, n_epochs: int) -> None:
        self._progress = progress
        self._task = progress.add_task(
            f"epoch 1/{n_epochs}", total=n_rows * n_epochs, nll="", speed=""
        )
        self._n_epochs = n_epochs
        self._waiting = 0
        self._drawn = time.perf_counter()

    def tick(self, n_rows: int) -> None:
        """Move the bar, ten times a second at most."""
        self._waiting += n_rows
        now = time.perf_counter()
        if now - self._drawn >= REDRAW_SECONDS:
            speed = per_second(self._progress.tasks[self._task].speed)
            self._progress.update(self._task, advance=self._waiting, speed=speed)
            self._waiting, self._drawn = 0, now

    def show(self, epoch: Epoch) -> None:
        """Write the epoch's figures beside the bar."""
        held_out = epoch.validation_nll
        figures = f"nll {epoch.nll:.4g}"
        if held_out is not None:
            figures += f" · held out {held_out:.4g}" + ("" if epoch.best else " (not better)")
        self._progress.update(
            self._task,
            description=f"epoch {min(epoch.number + 1, self._n_epochs)}/{self._n_epochs}",
            nll=figures,
            speed=per_second(epoch.rows_per_second),
        )


@contextmanager
def display(verbose: int, n_rows: int, n_epochs: int) -> Iterator[Display]:
    """A bar if ``verbose`` asks for one and standard error is a terminal, else silence."""
    if not verbose or not sys.stderr.isatty():
        yield Silent()
        return
    with shown(verbose) as progress:
        yield Bar(progress, n_rows, n_epochs)


def say(verbose: int) -> Callable[[str], None]:
    """A function that prints a line on standard error if ``verbose`` asks for it."""
    if not verbose:
        return lambda line: None
    return lambda line: print(line, file=sys.stderr)
