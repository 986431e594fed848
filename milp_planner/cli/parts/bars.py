"""A progress bar on a terminal's stderr that steps aside for what goes to stdout."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def bar(what: str, total: int, *, quiet: bool) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Inside the block, calling `step(write)` writes something and moves the bar on by one."""
    if quiet or not sys.stderr.isatty():
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
