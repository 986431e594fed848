"""Progress bars on a terminal's stderr; one steps aside for what goes to stdout."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def counted(what: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """Inside the block, `done(n)` shows that n of the total are; None where nobody looks."""
    if quiet or not _is_terminal():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    name = TextColumn("{task.description}", markup=False)
    share = TextColumn("{task.percentage:>3.0f} %")
    progress = Progress(
        *(SpinnerColumn(), name, BarColumn(), share, TimeElapsedColumn()),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with progress:
        task = progress.add_task(what, total=total)
        yield lambda n: progress.update(task, completed=n)


def _is_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # closed
        return False


@contextlib.contextmanager
def bar(what: str, total: int, *, quiet: bool) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Inside the block, calling `step(write)` writes something and moves the bar on by one."""
    if quiet or not _is_terminal():
        yield lambda write: write()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    name = TextColumn("{task.description}", markup=False)
    progress = Progress(
        *(name, MofNCompleteColumn(), BarColumn(), TimeElapsedColumn()),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with progress:
        task = progress.add_task(what, total=total)

        def step(write: Callable[[], None]) -> None:
            progress.stop()  # or the bar would be in the middle of what is written
            write()
            progress.advance(task)
            progress.start()

        yield step
