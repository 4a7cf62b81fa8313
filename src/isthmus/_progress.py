"""A bar on standard error while rows go by or steps are taken, on a terminal only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


@contextmanager
def counting(verbose: int | bool, n_rows: int | None) -> Iterator[Callable[[int], None]]:
    """A function that counts rows in a bar, if ``verbose`` asks for one and there is a terminal.

    Args:
        verbose: 0 for silence, 2 for a bar that stays.
        n_rows: All of them, or None where nobody knows.
    """
    if not verbose or not sys.stderr.isatty():
        yield lambda n: None
        return
    with shown(verbose) as progress:
        task = progress.add_task("rows", total=n_rows, nll="", speed="")

        def tick(count: int) -> None:
            speed = per_second(progress.tasks[task].speed)
            progress.update(task, advance=count, speed=speed)

        yield tick


@contextmanager
def shown(verbose: int) -> Iterator["Progress"]:
    """Rich's progress, running."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[nll]}"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=verbose < 2) as progress:
        yield progress


@contextmanager
def steps(verbose: bool, n_steps: int) -> Iterator[Callable[[str], None]]:
    """A function that says which of some steps begins: a bar, on a terminal only.

    Args:
        verbose: Whether anything is shown.
        n_steps: How many there are.
    """
    if not verbose or not sys.stderr.isatty():
        yield lambda text: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=n_steps, completed=-1)

        def begin(text: str) -> None:
            progress.update(task, advance=1, description=text)

        yield begin


def per_second(n_rows: float | None) -> str:
    """A speed in words; none before it is known."""
    return "" if n_rows is None else f"{n_rows:,.0f} rows/s"
